import pytest

from ondevice_bench.ab.exit_code import exit_code
from ondevice_bench.analyse.cell_pair import Exact, Pair
from ondevice_bench.errors import ExitCode
from ondevice_bench.stats import Change

SLOW = Pair("slow", "a", "b", [], [1.0], [1.1], Change(1.1, 1.05, 1.15, "more"))
SAME = Pair("same", "a", "b", [], [1.0], [1.0], Change(1.0, 0.99, 1.01, "same"))
LARGER = Pair("larger", "a", "b", [Exact("activation_bytes", 1, 2)], *[[1.0]] * 2, SAME.step)
UNSURE = Pair("unsure", "a", "b", [], [1.0], [1.0])
NEVER_TIMED = Pair("never timed", "a", "b")
FAILED = Pair("failed", "a", "b", problem="time: failed: no")
BOTH = {"regressed", "inconclusive"}


@pytest.mark.parametrize(
    ("pairs", "unpaired", "fail_on", "code"),
    [
        ([SAME], (), BOTH, ExitCode.OK),
        ([SAME, SLOW, FAILED], (), {"regressed"}, ExitCode.REGRESSION),
        ([LARGER], (), {"regressed"}, ExitCode.REGRESSION),
        ([SLOW], (), {"inconclusive"}, ExitCode.OK),
        ([SAME, FAILED], ("x",), BOTH, ExitCode.CELL_FAILED),
        ([], ("x",), BOTH, ExitCode.NOTHING_RAN),
        ([SAME], ("x",), BOTH, ExitCode.INCONCLUSIVE),
        ([SAME, UNSURE], (), BOTH, ExitCode.INCONCLUSIVE),
        ([SAME, UNSURE], (), {"regressed"}, ExitCode.OK),
        ([NEVER_TIMED], (), set(), ExitCode.INCONCLUSIVE),
    ],
)
def test_the_worst_of_all_pairs_decides(pairs, unpaired, fail_on, code):
    assert exit_code(pairs, unpaired, fail_on) == code
