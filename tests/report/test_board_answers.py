"""What a page of boards says of each board, and how sure it is."""

import dataclasses

import pytest

from ondevice_bench.analyse.choice import PEAK, STEP, Choice
from ondevice_bench.analyse.groups import groups
from ondevice_bench.analyse.verdict import verdict
from ondevice_bench.report.board_answers import SENTENCES, in_words, is_disturbed, rests_on
from ondevice_bench.suite.goal import Goal
from tests.report import synthetic

GIB = 2**30


@pytest.fixture
def group(summary_of):
    cells = synthetic.cells()
    summary = summary_of(synthetic.records(cells), synthetic.planned(cells), synthetic.run_of())
    (found,) = groups(summary)
    return found


def test_the_answer_of_a_board_says_method_fit_cost_and_proof(group):
    goal = Goal()
    text = in_words(verdict(group, goal, "vanilla"), goal, GIB, group.members)
    assert text == (
        "checkpoint needs the least memory: 30.00 MiB, 0.375× of vanilla's. This is proven. It "
        "fits: it takes 2.9 % of 1 GiB. Its cost: step time 1.30×; the exact gradient. wasi "
        "fraction=0.25 is the fastest: 52.0 ms, 0.520× of vanilla's. This is proven. With a step "
        "that is at most 10 % longer, wasi fraction=0.25 has 0.775× of vanilla's memory. This is "
        "proven."
    )


ALONE = Choice(PEAK, None, "none")


def unsure(choice):
    return dataclasses.replace(choice, proof="not proven")


def unclear(choice):
    return dataclasses.replace(choice, member=None, proof="none", unclear=(choice.member,))


@pytest.mark.parametrize(
    ("goal", "limit_mib", "changed", "expected"),
    [
        (
            Goal(),
            None,
            {"by_memory": unsure, "by_time": unsure},
            {"least unsure", "fastest unsure"},
        ),
        (Goal(), None, {}, {"fit unknown"}),
        (Goal(), 40, {}, {"fits"}),
        (Goal(), 30.05, {}, {"may not fit"}),
        (Goal(), 20, {}, {"does not fit"}),
        (
            Goal(),
            20,
            {"by_memory": unclear, "by_time": unclear},
            {"least unclear", "fastest unclear"},
        ),
        (
            Goal("activation_bytes"),
            None,
            {"by_memory": lambda _: ALONE, "by_time": lambda _: ALONE},
            {"least of none", "fastest of none", "goal"},
        ),
        (Goal("activation_bytes"), None, {"by_goal": unclear}, {"goal unclear"}),
        (Goal("activation_bytes"), None, {"by_goal": lambda _: ALONE}, {"goal of none"}),
        (Goal(), None, {"by_time": lambda _: None}, {"unknown"}),
    ],
)
def test_an_answer_never_says_more_than_is_proven(group, goal, limit_mib, changed, expected):
    found = verdict(group, goal, "vanilla")
    found = dataclasses.replace(
        found, **{name: change(getattr(found, name)) for name, change in changed.items()}
    )
    limit = None if limit_mib is None else int(limit_mib * 2**20)
    text = in_words(found, goal, limit, group.members)
    for name in expected:
        assert SENTENCES[name].split("{")[0] in text
        assert SENTENCES[name].rpartition("}")[2] in text
    assert ("It fits" in text) == ("fits" in expected)
    assert "needs the least" not in text or found.by_memory.proof == "proven"
    assert "is the fastest" not in text or found.by_time.proof == "proven"


@pytest.mark.parametrize(
    ("goal", "third"),
    [
        (Goal(), (PEAK, STEP)),
        (Goal(PEAK), (PEAK, STEP)),
        (Goal(PEAK, max_peak_bytes=1), (PEAK,)),
        (Goal(PEAK, max_slowdown=2.0), (PEAK, STEP)),
        (Goal("activation_bytes"), ("activation_bytes",)),
    ],
)
def test_an_answer_rests_on_the_metrics_that_decide_it(goal, third):
    assert rests_on(goal) == ((PEAK,), (STEP,), third)


@pytest.mark.parametrize("side", ["cell", "base"])
def test_a_disturbed_pass_is_a_doubt_for_its_own_metrics_on_either_side(group, side):
    member = group.members[1]
    busy = dataclasses.replace(getattr(member, side), disturbed={"time": 1})
    member = dataclasses.replace(member, **{side: busy})
    assert is_disturbed(member, (STEP,))
    assert not is_disturbed(member, (PEAK,))
    found = verdict(group, Goal(), "vanilla")
    assert SENTENCES["disturbed"] in in_words(found, Goal(), None, [member])
    assert SENTENCES["disturbed"] not in in_words(found, Goal(), None, group.members)
