"""What `bench ab` prints of pairs that are made by hand."""

from ondevice_bench.analyse.cell_pair import CellPair, ExactDifference
from ondevice_bench.report.terminal.ab import ab_lines, ab_tables
from ondevice_bench.stats import Change
from ondevice_bench.suite.join import join
from tests.report import synthetic

CELLS = synthetic.cells()
FOUR = synthetic.cells(4)[0]
BY_ID = {cell.id: cell for cell in CELLS}


def test_each_pair_has_a_row_and_each_exact_difference_a_line():
    slow = CellPair(
        "one",
        CELLS[0].id,
        "b",
        [ExactDifference("activation_bytes", 1024.0, 2048.0)],
        [1.0] * 9,
        [1.1] * 9,
    )
    slow.step = Change(1.1, 1.05, 1.15, "more")
    same = CellPair(
        "same", CELLS[1].id, "b", [], [1.0] * 9, [1.0] * 9, step=Change(1.0, 0.99, 1.01, "same")
    )
    few = CellPair("two", CELLS[2].id, "d")
    pairs = [slow, same, few, CellPair("three", CELLS[3].id, "f", problem="time: failed: no")]
    (table,) = ab_tables(pairs, BY_ID)
    assert table.heading == "mcunet, batch 8, seed 0"
    columns = {title: [row[n] for row in table.rows] for n, title in enumerate(table.titles)}
    assert columns["method"][:2] == ["vanilla", "asi fraction=0.125"]
    assert columns["interval"] == ["1.05× … 1.15×", "0.990× … 1.01×", "", ""]
    assert columns["step is"] == [
        "regressed",
        "unchanged",
        "inconclusive",
        "failed: time: failed: no",
    ]
    assert columns["exact metrics"] == ["1 differ", "equal", "equal", "not compared"]
    first, alone, sharp, wanting, last = ab_lines(
        ["main", "HEAD"], pairs, BY_ID, join([FOUR], []), 0.02
    )
    assert first == (
        "regressed: vanilla: activation_bytes: 1.00 KiB (1,024 bytes) → 2.00 KiB (2,048 bytes)"
    )
    assert alone == f"only in main: {FOUR.id}"
    assert sharp == (
        "a slow-down of up to 1.0% could be hidden in the noise of 1 cell that did not regress"
    )
    assert wanting == "1 cell had too few rounds for an interval: give more --budget"
    assert last.endswith(
        "steps: 1 regressed, 1 unchanged, 1 inconclusive, 1 failed at a threshold of 2%; "
        "exact metrics: 1 of 3 cells differ"
    )


def test_exact_metrics_stay_compared_if_the_step_fails_after_them():
    risen = [ExactDifference("activation_bytes", 1024.0, 2048.0)]
    pairs = [
        CellPair("one", CELLS[0].id, "b", risen, problem="time: failed: no"),
        CellPair("two", CELLS[1].id, "b", equal={"activation_bytes": 1.0}, skips=("", "no")),
    ]
    (table,) = ab_tables(pairs, BY_ID)
    assert [row[-1] for row in table.rows] == ["1 differ", "equal"]


def test_a_threshold_below_one_per_cent_is_not_none():
    *_, last = ab_lines(["main", "HEAD"], [], BY_ID, join([FOUR], []), 0.005)
    assert "at a threshold of 0.5%" in last


def test_a_cell_that_became_faster_hides_no_slow_down():
    faster = CellPair("one", CELLS[0].id, "b", [], [1.0] * 9, [0.8] * 9)
    faster.step = Change(0.8, 0.78, 0.82, "less")
    lines = ab_lines(["main", "HEAD"], [faster], BY_ID, join([], []), 0.02)
    assert not any("hidden" in line for line in lines)
