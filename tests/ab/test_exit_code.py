import pytest

from ondevice_bench.ab.exit_code import exit_code
from ondevice_bench.analyse.cell_pair import CellPair, ExactDifference, MissingMetric
from ondevice_bench.errors import ExitCode
from ondevice_bench.stats import Change

SLOW = CellPair("slow", "a", "b", [], [1.0], [1.1], Change(1.1, 1.05, 1.15, "more"))
SAME = CellPair("same", "a", "b", [], [1.0], [1.0], Change(1.0, 0.99, 1.01, "same"))
LARGER = CellPair(
    "larger", "a", "b", [ExactDifference("activation_bytes", 1, 2)], *[[1.0]] * 2, SAME.step
)
UNSURE = CellPair("unsure", "a", "b", [], [1.0], [1.0])
NEVER_TIMED = CellPair("never timed", "a", "b")
FAILED = CellPair("failed", "a", "b", problem="time: failed: no")
LOST = CellPair(
    "lost", "a", "b", [], [1.0], [1.0], SAME.step, missing=[MissingMetric("activation_bytes", 1)]
)
SKIPPED = CellPair("skipped", "a", "b", skips=("no layers", "no layers"))
BASE_SKIPS = CellPair("new", "a", "b", skips=("no layers", ""))
NEW_SKIPS = CellPair("skipped now", "a", "b", skips=("", "no layers"))
BOTH = {"regressed", "inconclusive"}


@pytest.mark.parametrize(
    ("pairs", "gone", "fail_on", "code"),
    [
        ([SAME], (), BOTH, ExitCode.OK),
        ([SAME, SLOW, FAILED], (), {"regressed"}, ExitCode.REGRESSION),
        ([LARGER], (), {"regressed"}, ExitCode.REGRESSION),
        ([SLOW], (), {"inconclusive"}, ExitCode.OK),
        ([SAME, FAILED], ("x",), BOTH, ExitCode.CELL_FAILED),
        ([], (), BOTH, ExitCode.NOTHING_RAN),
        ([], ("x",), BOTH, ExitCode.INCONCLUSIVE),
        ([SAME], ("x",), BOTH, ExitCode.INCONCLUSIVE),
        ([SAME, UNSURE], (), BOTH, ExitCode.INCONCLUSIVE),
        ([SAME, UNSURE], (), {"regressed"}, ExitCode.OK),
        ([NEVER_TIMED], (), set(), ExitCode.INCONCLUSIVE),
        ([SAME, LOST], (), set(), ExitCode.INCONCLUSIVE),
        ([SLOW, LOST], (), {"regressed"}, ExitCode.REGRESSION),
        ([SAME, SKIPPED], (), BOTH, ExitCode.OK),
        ([SAME, BASE_SKIPS], (), BOTH, ExitCode.OK),
        ([SAME, NEW_SKIPS], (), set(), ExitCode.INCONCLUSIVE),
        ([SKIPPED, BASE_SKIPS], (), BOTH, ExitCode.NOTHING_RAN),
        ([SKIPPED], ("x",), BOTH, ExitCode.INCONCLUSIVE),
        ([SKIPPED, FAILED], (), BOTH, ExitCode.CELL_FAILED),
    ],
)
def test_the_worst_of_all_pairs_decides(pairs, gone, fail_on, code):
    assert exit_code(pairs, (gone, ()), fail_on) == code


def test_new_cells_are_no_reason_to_fail_even_if_there_are_no_others():
    assert exit_code([], ((), ("x",)), BOTH) == ExitCode.OK
    assert exit_code([SKIPPED], ((), ("x",)), BOTH) == ExitCode.NOTHING_RAN
    assert exit_code([], (("x",), ("y",)), BOTH) == ExitCode.INCONCLUSIVE
