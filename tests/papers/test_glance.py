"""Claims at one glance: each claim is counted once, and what waits says for what, and how to decide."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ondevice_bench.papers.claims import judge
from ondevice_bench.papers.claims_file import load_published
from ondevice_bench.papers.claims_table import published_text, summary_table, verdict_tables
from ondevice_bench.papers.glance import VERDICTS, by_reason, by_verdict, counts, numbers
from ondevice_bench.papers.published import Query
from ondevice_bench.papers.scale import scale_of
from ondevice_bench.papers.waiting import waiting
from ondevice_bench.terminal import table_text
from tests.papers.test_claims import CLAIM, MEASURED, accounted, found, kept, of

TRAINED = Query("vit_b_32", "wasi", "mlp", 128, "pretrained", "cifar10")

GIVEN = "--weights vit_b_32=PATH --data cifar10:PATH"


def all_verdicts():
    """A claim of each verdict, and two more that wait for different things."""
    return [
        judge(of(CLAIM, id="shown"), [accounted(2.0)], [kept(2.5)]),
        judge(of(CLAIM, id="computed-only"), [accounted(2.0)], [kept(1.25)]),
        judge(of(CLAIM, id="not-yet"), [accounted(2.0)], []),
        judge(of(CLAIM, id="other", remark="another rounding"), [accounted(1.5)], []),
        judge(of(CLAIM, id="trained", query=TRAINED), [], []),
        judge(of(MEASURED, id="learnt", query=TRAINED, epochs=50), [], []),
        judge(of(MEASURED, id="on-board", boards=("pi5", "pi5-4gb")), [], []),
        judge(of(MEASURED, id="unstated", untestable="the paper does not say"), [], []),
        judge(of(CLAIM, id="said-elsewhere", computed="secondary"), [], []),
    ]


def test_each_claim_is_counted_once_and_the_summary_adds_up():
    judged = all_verdicts()
    assert [verdict for verdict, _ in by_verdict(judged)] == list(VERDICTS)
    listed = [each.claim.id for _, some in by_verdict(judged) for each in some]
    assert sorted(listed) == sorted(each.claim.id for each in judged)
    found_counts = list(counts(judged))
    assert sum(number for number, verdict, _ in found_counts if verdict) == len(judged)
    waits = [(number, what) for number, verdict, what in found_counts if not verdict]
    assert waits == [
        (1, "for pretrained weights of vit_b_32 and the data of cifar10"),
        (1, "for a run on pi5"),
        (1, "for trainings of 50 epochs with your weights and data"),
        (1, "for something that no command here gives"),
    ]


@pytest.mark.parametrize(
    ("changes", "missing", "command"),
    [
        (
            {"query": TRAINED},
            "pretrained weights of vit_b_32 and the data of cifar10",
            f"bench claims --paper p {GIVEN}",
        ),
        (
            {"query": TRAINED, "origin": "my claims.yaml"},
            "pretrained weights of vit_b_32 and the data of cifar10",
            f"bench claims --claims 'my claims.yaml' --paper p {GIVEN}",
        ),
        ({"computed": "measured"}, "a measurement", "bench claims --paper p --run"),
        ({"boards": ("pi5", "pi5-4gb", "pi4")}, "a run on pi5 or pi4", None),
        ({"untestable": "unknown ranks"}, "unknown ranks", ""),
        ({"published": None}, "the claim has no number", ""),
        (
            {"query": Query(method="asi")},
            "the claim does not name its network and its method",
            "",
        ),
        ({"ratio_of": "hosvd"}, "formulas for asi against hosvd", ""),
        ({"query": Query("mcunet", "lean"), "ratio_of": None}, "formulas for lean", ""),
        ({"query": Query("mcunet", "asi", data="photos")}, "a measurement", None),
    ],
)
def test_a_claim_that_waits_says_for_what_and_the_command(changes, missing, command):
    reason = waiting(judge(of(CLAIM, **changes), [], []))
    assert reason.missing == missing
    assert reason.command == ("bench claims --paper p --run" if command is None else command)


def test_a_claim_with_a_final_verdict_waits_for_nothing():
    for each in all_verdicts():
        is_final = each.verdict not in (
            "not testable here",
            "reproduced as accounted, not measured yet",
        )
        assert (waiting(each) is None) == is_final
    wide = judge(MEASURED, [], [found(1.0, 2.0, 3.0)])
    assert waiting(wide).missing == "a more precise measurement"


def test_claims_that_wait_for_the_same_are_one_reason_and_those_with_a_command_come_first():
    judged = all_verdicts()
    again = judge(of(CLAIM, id="trained-too", query=TRAINED), [], [])
    reasons = by_reason([*judged, again])
    assert [each.claim.id for each in reasons[0].claims] == ["trained", "trained-too"]
    assert [each.reason.is_decided for each in reasons] == [True, True, True, False, False]


def test_the_three_numbers_are_those_that_decide():
    both = [found(1.4, 1.5, 1.6), found(1.9, 2.0, 2.1)]
    assert numbers(judge(MEASURED, [], both)).measured is both[1]
    far = found(1.9, 2.0, 2.1, "batch 4 instead of 8")
    assert numbers(judge(MEASURED, [], [far])).elsewhere is far
    assert numbers(judge(MEASURED, [], [far])).measured is None
    many = [accounted(1.0), accounted(3.0), accounted(9.0, "batch 4 instead of 8")]
    assert numbers(judge(of(CLAIM, reach="up to"), many, [])).computed == 3.0
    assert numbers(judge(CLAIM, many, [])).computed == 1.0


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"reach": "up to", "published": "62"}, "up to 62×"),
        ({"unit": "MiB", "published": "2349.00"}, "2349.00 MiB"),
        ({"unit": "%", "published": "77.1", "reach": "about"}, "about 77.1 %"),
        ({"published": None}, "–"),
    ],
)
def test_a_published_number_is_shown_as_printed(changes, text):
    assert published_text(of(CLAIM, **changes)) == text


@pytest.mark.parametrize("width", [80, 100])
def test_all_tables_fit_the_width_and_cut_no_word(workplace, width):
    claims = load_published().claims
    judged = [
        *all_verdicts(),
        *(judge(claim, [], []) for claim in claims),
        judge(of(MEASURED, id="x" * 30), [], [found(1.91, 2.03, 2.12)]),
    ]  # fmt: skip
    tables = [summary_table(judged), *(table for _, _, table in verdict_tables(judged))]
    for table in tables:
        text = table_text(table, width)
        assert max(map(len, text.splitlines())) <= width
        words = {word for row in table.rows for cell in row for word in cell.split()}
        assert words <= set(text.split())


@given(st.lists(st.floats(1e-6, 1e12), min_size=1, max_size=9), st.booleans())
def test_places_are_in_the_order_of_the_numbers_and_on_the_axis(values, is_share):
    shares = [value % 100 for value in values]
    scale = scale_of(shares if is_share else values, is_share=is_share)
    drawn = sorted(shares if is_share else values)
    places = [scale.place(value) for value in drawn]
    assert places == sorted(places)
    assert all(0 <= place <= 100 for place in places)
    assert len(scale.ticks()) <= 6
    assert all(scale.low <= tick <= scale.high for tick in scale.ticks())


def test_equal_factors_are_equally_wide():
    scale = scale_of([1, 10, 100], is_share=False)
    places = [scale.place(value) for value in (1, 10, 100)]
    assert places[1] - places[0] == pytest.approx(places[2] - places[1], abs=0.02)
    assert scale.ticks() == (1, 2, 5, 10, 20, 50, 100)[::2]
    assert scale_of([-35.0, 50.0], is_share=True).ticks()[0] == -20


def test_a_command_that_does_not_decide_a_claim_says_so():
    titles = {c.claim.id: "" for c in all_verdicts()}
    for each in all_verdicts():
        for title, command, _ in verdict_tables([each]):
            titles[each.claim.id] = title if command else ""
    assert titles["learnt"].endswith(". This command does not decide it:")
    for decided in ("trained", "on-board"):
        assert titles[decided]
        assert "does not decide" not in titles[decided]
