"""Verdicts on claims: each by the rule that it states, and never without figures."""

import dataclasses
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ondevice_bench.papers.accounts import Account
from ondevice_bench.papers.claims import Verdict, agrees, judge, shows
from ondevice_bench.papers.claims_file import load_published
from ondevice_bench.papers.evidence import MeasuredClaim
from ondevice_bench.papers.published import Claim, Query
from ondevice_bench.running.boards import boards
from ondevice_bench.stats import Estimate
from ondevice_bench.suite.load import load_suite
from ondevice_bench.suite.plan import plan

MIB = 2**20
CLAIM = Claim(
    id="c",
    paper="p",
    says="twice as little",
    source="",
    scope="accounted",
    computed="accounted",
    published="2.0",
    unit="x",
    reach="exactly",
    quantity="activation",
    dialect="exact",
    ratio_of="vanilla",
    measured=("activation_bytes", "step_seconds"),
    boards=(),
    query=Query("mcunet", "asi", "all", 8),
    needs="",
    untestable="",
    remark="",
)
MEASURED = dataclasses.replace(
    CLAIM, computed="measured", quantity=None, measured=("step_seconds",)
)


def of(claim, **what):
    return dataclasses.replace(claim, **what)


def accounted(value, *differs):
    return Account("cell", value, value, differs)


def found(low, middle, high, *differs, metric="step_seconds", processes=5, anatomy=""):
    estimate = Estimate(middle, low, high, "exact" if low is not None and low == high else "said")
    return MeasuredClaim("r", "x86", "cell", metric, estimate, processes, differs, anatomy)


def kept(value, **what):
    return found(value, value, value, metric="activation_bytes", processes=1, **what)


@pytest.mark.parametrize("reach", ["exactly", "about", "up to", "over"])
def test_a_claim_of_at_most_or_more_says_that_it_is_reached_not_met(reach):
    least = reach in ("up to", "over")
    computed, both = of(CLAIM, reach=reach, measured=()), of(CLAIM, reach=reach)
    value = 7.95 if least else 2.0
    for claim, measurements in ((computed, []), (both, []), (both, [kept(2.5)])):
        judged = judge(claim, [accounted(value)], measurements)
        assert judged.verdict.startswith("reproduced")
        assert judged.because.startswith("at least as much; computed: ") == least
    assert judge(both, [accounted(value)], [kept(1.25)]).because.startswith("computed: ")
    assert judge(computed, [accounted(1.0)], []).because == "computed: 1.00×"


@pytest.mark.parametrize(
    ("claim", "accounts", "measurements", "verdict", "says"),
    [
        (CLAIM, [], [], "not testable here", "there is no account of it"),
        (of(CLAIM, needs="weights"), [], [], "not testable here", "it needs weights"),
        (of(CLAIM, untestable="no layers"), [accounted(2.0)], [], "not testable here", "no layers"),
        (of(CLAIM, published=None), [accounted(2.0)], [], "not testable here", "no number"),
        (CLAIM, [accounted(2.0, "batch 4 instead of 8")], [], "not testable here", "no account"),
        (CLAIM, [accounted(1.5)], [], "not reproduced", "computed: 1.50×"),
        (of(CLAIM, measured=()), [accounted(2.04)], [], "reproduced", "computed: 2.04×"),
        (of(CLAIM, measured=()), [accounted(2.06)], [], "not reproduced", "2.06×"),
        (CLAIM, [accounted(2.0)], [], "reproduced as accounted, not measured yet", "2.00×"),
        (
            CLAIM,
            [accounted(2.0)],
            [kept(2.5)],
            "reproduced",
            "activations, vanilla's over its own: 2.50×",
        ),
        (
            CLAIM,
            [accounted(2.0)],
            [kept(1.25, anatomy="the step stores 9 MiB: 80% of attention")],
            "reproduced as accounted, not as measured",
            "80% of attention",
        ),
        # the second metric decides nothing
        (
            CLAIM,
            [accounted(2.0)],
            [found(3, 3.1, 3.2)],
            "reproduced as accounted, not measured yet",
            "",
        ),
        (MEASURED, [], [], "not testable here", "it needs a run of such a cell"),
        (
            of(MEASURED, boards=("pi5", "pi4"), needs="a fan"),
            [],
            [],
            "not testable here",
            "it needs a run on pi5 or pi4, and a fan",
        ),
        (
            MEASURED,
            [],
            [found(1.9, 2.1, 2.3)],
            "reproduced",
            "step, vanilla's over its own: 2.10× (1.90× … 2.30×) on x86",
        ),
        (MEASURED, [], [found(1.4, 1.5, 1.6)], "not reproduced", "1.50×"),
        (
            MEASURED,
            [],
            [found(1.9, 2.1, 2.3, processes=1)],
            "not testable here",
            "but 5 processes on each side are needed, not 1",
        ),
        (MEASURED, [], [found(None, 2.1, None)], "not testable here", "2.10× (no interval)"),
        (MEASURED, [], [found(1.9, 2.1, 2.3, "board x86 instead of pi5")], "not testable here", ""),
        # one board that shows it is enough
        (MEASURED, [], [found(1, 1.1, 1.2), found(1.9, 2.0, 2.1)], "reproduced", "2.00×"),
        (of(MEASURED, computed="secondary"), [], [], "not part of the method", "accounted"),
    ],
)
def test_a_verdict_and_what_bears_it(claim, accounts, measurements, verdict, says):
    judged = judge(claim, accounts, measurements)
    assert judged.verdict == verdict
    assert says in judged.because
    assert judged.because
    assert judged.to_dict()["scope"] == claim.scope


@given(
    st.sampled_from(["exactly", "about", "up to", "over"]),
    st.lists(st.floats(0.1, 10), max_size=3),
    st.lists(st.tuples(st.floats(0.1, 10), st.integers(1, 9), st.booleans()), max_size=3),
    st.booleans(),
)
def test_no_verdict_rests_on_anything_but_figures_that_meet_the_conditions(
    reach, accounts, measurements, is_accounted
):
    claim = of(CLAIM if is_accounted else MEASURED, reach=reach)
    known = [found(v * 0.9, v, v * 1.1, *(["x"] if off else []), metric=claim.measured[0],
                   processes=n) for v, n, off in measurements]  # fmt: skip
    verdict = judge(claim, [accounted(v) for v in accounts], known).verdict
    assert verdict in get_args(Verdict)
    meeting = [each for each in known if not each.differs]
    if is_accounted and not accounts:
        assert verdict == "not testable here"
    if not is_accounted and not meeting:
        assert verdict == "not testable here"
    if verdict == "reproduced as accounted, not as measured":
        assert meeting


def test_an_accounted_figure_agrees_to_its_last_digit():
    assert agrees(of(CLAIM, published="2349.00"), 2349.004)
    assert not agrees(of(CLAIM, published="2349.00"), 2349.006)
    about = of(CLAIM, published="1.4", reach="about")
    assert agrees(about, 1.34)
    assert not agrees(about, 1.3)
    most = of(CLAIM, published="62", reach="up to")
    assert agrees(most, 70)
    assert agrees(most, 61.6)
    assert not agrees(most, 60)


def test_an_absolute_figure_may_not_be_exceeded_and_a_gain_may():
    size = of(MEASURED, unit="MiB", ratio_of=None, published="100")
    peak = {"metric": "peak_rss_over_runtime_bytes"}
    assert shows(size, found(99, 101, 104, **peak)) == "yes"
    assert shows(size, found(106, 107, 108, **peak)) == "yes"  # what peaks differ by anyway
    assert shows(size, found(109, 110, 111, **peak)) == "no"
    assert shows(size, found(60, 80, 90, **peak)) == "no"
    assert shows(MEASURED, found(3.9, 4, 4.1)) == "yes"
    for reach in ("up to", "over"):
        accuracy = of(size, unit="%", published="90", measured=("accuracy",), reach=reach)
        assert shows(accuracy, found(96, 96.5, 97, metric="accuracy")) == "yes"
        assert shows(accuracy, found(80, 81, 82, metric="accuracy")) == "no"


def test_an_interval_that_holds_a_figure_says_so_only_if_it_is_narrow():
    assert shows(MEASURED, found(1.9, 2.0, 2.1)) == "yes"
    assert shows(MEASURED, found(1.0, 2.0, 3.0)) == "unsure"
    assert shows(MEASURED, found(2.2, 3.0, 9.0)) == "yes"  # all of it is more
    assert shows(MEASURED, found(0.5, 0.6, 1.7)) == "no"  # all of it is less
    judged = judge(MEASURED, [], [found(1.0, 2.0, 3.0)])
    assert judged.verdict == "not testable here"
    assert "the interval is too wide to decide" in judged.because


def test_noise_of_a_saving_is_of_what_is_left():
    saving = of(MEASURED, unit="%", published="90")
    assert shows(saving, found(89.6, 89.7, 89.8)) == "yes"  # 10 % left, and 10.3
    assert shows(saving, found(88.5, 88.7, 88.9)) == "no"


def test_a_short_training_decides_nothing_about_a_long_one():
    short = found(0.3, 0.31, 0.32, "a short training instead of 50 epochs", metric="accuracy")
    long = of(MEASURED, unit="%", ratio_of=None, published="97.32", measured=("accuracy",),
              needs="weights", epochs=50)  # fmt: skip
    judged = judge(long, [], [short])
    assert (judged.verdict, judged.because) == (
        "not testable here",
        "it needs a run of such a cell, and weights",
    )


PAPERS = (
    "paper_gf",
    "paper_gf_kernels",
    "paper_hosvd",
    "paper_asi",
    "paper_wasi",
    "paper_wasi_llm",
)


def test_what_can_be_measured_on_a_board_is_in_a_suite(workplace):
    board = boards()["pi5-8gb"]
    suites = [load_suite(name) for name in PAPERS]
    cells = [item.cell for suite in suites for item in plan(suite, board)]
    for claim in load_published().claims:
        if claim.measured and not claim.untestable and not claim.needs:
            assert any(not claim.query.differs(cell) for cell in cells), claim.id


def test_of_ours_alone_only_what_can_be_computed_has_a_verdict(workplace):
    """Without runs and without accounts nothing is reproduced, and nothing refuted."""
    verdicts = {judge(claim, (), ()).verdict for claim in load_published().claims}
    assert verdicts == {"not testable here", "not part of the method"}
