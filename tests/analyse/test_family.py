"""Runs of several boards: ratios round by round, and boards that are unlike the others."""

import random
from statistics import median

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from ondevice_bench.analyse.family import MOST_PROCESSES, boards_in_family, outside, unlike
from ondevice_bench.analyse.groups import groups
from tests.record.conftest import CELL, make_record, make_run, planned
from tests.report import synthetic

VANILLA, LEAN = synthetic.cells()[0], synthetic.cells()[-1]
PACE = {"a": 1.0, "b": 2.0, "c": 4.0}  # boards of very different speed


def of_boards(summary_of, base, method, ratio=0.5, metric="step_seconds", pass_name="time"):
    """A cell and its baseline, each measured on these boards, one round after the other."""
    run = make_run(settings={"measure": [pass_name], "rounds": 3, "baseline": "vanilla"})
    records = [
        make_record(
            cell=cell,
            pass_name=pass_name,
            number=number,
            metrics={metric: PACE[unit] * factor},
            details={"unit": unit},
        )
        for cell, units, factor in ((VANILLA, base, 1.0), (LEAN, method, ratio))
        for number, unit in enumerate(units, 1)
        if unit in PACE
    ]
    (group,) = groups(summary_of(records, planned(VANILLA, LEAN), run))
    return group.members[1]


@pytest.mark.parametrize(
    ("base", "method"),
    [("abc", "abc"), ("abc", "-bc"), ("abc", "ab-"), ("-bc", "abc"), ("ab", "abcab"), ("a", "a")],
)
def test_no_difference_between_boards_is_in_a_ratio_though_rounds_are_missing(
    summary_of, base, method
):
    member = of_boards(summary_of, base, method)
    assert member.ratio("step_seconds").estimate == pytest.approx(0.5)
    both = sum(one == other != "-" for one, other in zip(base, method, strict=False))
    assert member.rounds("step_seconds") == both


def test_rounds_of_different_boards_give_no_ratio(summary_of):
    member = of_boards(summary_of, "ab", "ba")
    assert member.ratio("step_seconds") is None
    assert member.rounds("step_seconds") == 0


def test_an_exact_ratio_stays_exact(summary_of):
    member = of_boards(summary_of, "a", "a", metric="activation_bytes", pass_name="trace")
    assert member.ratio("activation_bytes").basis == "exact"
    assert member.ratio("activation_bytes").lower == 0.5


def test_a_bound_of_zero_is_a_bound(summary_of):
    """Otherwise the interval would be that of the medians alone, which is narrower."""
    run = make_run(settings={"measure": ["time"], "rounds": 2, "baseline": "vanilla"})
    wide, narrow = [0.0] * 3 + [1.0] * 3 + [2.0] * 3, [1.0] * 9
    records = [
        make_record(
            cell=cell,
            number=number,
            metrics={"step_seconds": 1.0},
            samples={"step_seconds": samples},
            details={"unit": unit},
        )
        for cell, samples in ((VANILLA, narrow), (LEAN, wide))
        for number, unit in enumerate("ab", 1)
    ]
    (group,) = groups(summary_of(records, planned(VANILLA, LEAN), run))
    found = group.members[1].ratio("step_seconds")
    assert (found.estimate, found.lower, found.upper) == (1.0, 0.0, 2.0)


def test_the_shared_cell_says_nothing_of_the_cell(summary_of):
    shared = [
        make_record(
            pass_name="family",
            number=number,
            status="ok" if unit != "c" else "failed",
            reason="" if unit != "c" else "no memory",
            metrics={"family_step_seconds": seconds} if unit != "c" else {},
            details={"unit": unit},
        )
        for number, (unit, seconds) in enumerate((("a", 1.0), ("b", 1.02), ("c", 0.0)), 1)
    ]
    own = make_record(pass_name="time", metrics={"step_seconds": 3.0}, details={"unit": "a"})
    run = make_run(settings={"measure": ["time"], "rounds": 1, "baseline": "vanilla"})
    (cell,) = summary_of([*shared, own], planned(CELL), run).cells
    assert (cell.status, cell.problems, cell.units) == ("ok", (), {"a": 1})
    assert cell.estimates["step_seconds"].estimate == 3.0
    found = {each.unit: (each.processes, each.ratio) for each in boards_in_family([cell])}
    assert found == {"a": (1, pytest.approx(1 / 1.01)), "b": (0, pytest.approx(1.02 / 1.01))}


def test_a_run_on_one_board_has_no_boards_to_compare(summary_of):
    summary = summary_of([make_record(pass_name="time", metrics={"step_seconds": 3.0})])
    assert boards_in_family(summary.cells) == ()


def test_a_step_without_time_is_outside():
    each = {"a": [1.0], "b": [1.0], "c": [0.0], "d": [-1.0], "e": [1.0]}
    assert outside(each) == {"c": 0.0, "d": -1.0}
    assert outside({"a": [0.0], "b": [0.0], "c": [1.0]}) == {}


def test_one_process_within_the_tolerance_keeps_a_board():
    """It may be slow by chance. Nor is a board outside if it differs in both directions."""
    others = {"a": [1.0] * 3, "b": [1.0] * 3}
    assert outside({**others, "c": [1.3, 1.2, 1.4]}) == {"c": 1.3}
    assert outside({**others, "c": [1.3, 1.05, 1.4]}) == {}
    assert outside({**others, "c": [1.3, 0.7, 1.3]}) == {}


def test_of_two_boards_nobody_knows_which_one_is_outside():
    assert unlike({"a": [1.0], "b": [1.2]}) == {"a": pytest.approx(1 / 1.2), "b": 1.2}
    assert unlike({"a": [1.0, 1.15], "b": [1.2, 1.0]}) == {}
    assert outside({"a": [1.0], "b": [2.0]}) == {}
    assert unlike({"a": [1.0]}) == {}


def test_equal_boards_stay_in_the_fleet_whatever_the_noise_of_short_steps():
    """Half of the processes are 12 % slower: one process of each would call many boards unlike."""
    draw = random.Random(1)
    lost = first = 0
    for _ in range(300):
        seconds: dict[int, list[float]] = {board: [] for board in range(5)}
        while True:
            for each in seconds.values():
                each.append(1.12 if draw.random() < 0.5 else 1.0)
            if not unlike(seconds) or len(seconds[0]) == MOST_PROCESSES:
                break
            first += len(seconds[0]) == 1
        lost += bool(outside(seconds))
    assert first > 100
    assert lost <= 3


def test_records_without_a_unit_among_others_are_no_fault(summary_of):
    """A bundle from anybody may have them."""
    records = [
        make_record(
            cell=cell,
            number=number,
            metrics={"step_seconds": float(number)},
            details={"unit": "a"} if number == 2 else {},
        )
        for cell in (VANILLA, LEAN)
        for number in (1, 2)
    ]
    run = make_run(settings={"measure": ["time"], "rounds": 2, "baseline": "vanilla"})
    summary = summary_of(records, planned(VANILLA, LEAN), run)
    (group,) = groups(summary)
    assert group.members[1].ratio("step_seconds").estimate == 1
    assert [each.unit for each in boards_in_family(summary.cells)] == ["a"]


@given(st.dictionaries(st.integers(), st.floats(0.01, 100), max_size=8))
def test_a_board_is_outside_if_it_is_a_tenth_away_from_the_median(seconds):
    found = outside({board: [value] for board, value in seconds.items()})
    middle = median(seconds.values()) if seconds else 1.0
    shares = {board: max(each, middle) / min(each, middle) for board, each in seconds.items()}
    assume(all(abs(share - 1.1) > 1e-9 for share in shares.values()))
    far = {board for board, share in shares.items() if share > 1.1}
    is_known = len(seconds) >= 3 and 2 * len(far) < len(seconds)  # else nobody knows which ones
    assert found.keys() == (far if is_known else set())
