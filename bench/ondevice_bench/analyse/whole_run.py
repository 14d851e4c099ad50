"""Whether a run differs from its base as a whole: then the machine may be the reason.

Two runs are measured at two times. A machine that is slower on one day makes each cell slower by
the same factor, plain training too. No method has become slower then, and nobody can tell it from
a change of the code that all cells share. So such times are not decided. A cell that is worse by
more than that factor is still judged.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace

from ondevice_bench import metrics
from ondevice_bench.analyse.comparison import Comparison, Difference, WholeRun

FEWEST = 3  # cells: fewer show no common factor
MOST = 0.8  # of the cells have the factor in their intervals
REASON = "the whole run changed like this, plain training too"
OF_MACHINE = ("seconds", "joules")  # the units of what depends on the speed of the machine


def judged_as_a_whole(comparison: Comparison, baselines: Collection[str]) -> Comparison:
    """The comparison. What has changed in the whole run is not decided for its cells.

    `baselines` has the ids of the cells of plain training.
    """
    found = {each.metric: each for each in _whole_runs(comparison.differences, baselines)}
    if not found:
        return comparison
    differences = tuple(
        _judged(item, found[item.metric]) if item.metric in found else item
        for item in comparison.differences
    )
    return replace(comparison, differences=differences, whole_run=tuple(found.values()))


def _whole_runs(
    differences: Sequence[Difference], baselines: Collection[str]
) -> Iterator[WholeRun]:
    by_metric: dict[str, list[Difference]] = {}
    for item in differences:
        if item.lower is not None and metrics.BY_NAME[item.metric].unit in OF_MACHINE:
            by_metric.setdefault(item.metric, []).append(item)
    for metric, items in by_metric.items():
        if len(items) >= FEWEST and (found := _common(metric, items, baselines)):
            yield found


def _common(
    metric: str, items: Sequence[Difference], baselines: Collection[str]
) -> WholeRun | None:
    """The factor in the most intervals, if it is in enough of them and surely not 1."""
    intervals = {item.cell: (item.lower or 0.0, item.upper or 0.0) for item in items}

    def having(factor: float) -> list[str]:
        return [cell for cell, (low, high) in intervals.items() if low <= factor <= high]

    cells = max((having(low) for low, _ in intervals.values()), key=len)
    lower = max(intervals[cell][0] for cell in cells)
    upper = min(intervals[cell][1] for cell in cells)
    of_baseline = intervals.keys() & set(baselines)
    limit = 1 + metrics.BY_NAME[metric].threshold
    is_same = 1 / limit <= upper and lower <= limit
    if len(cells) < MOST * len(items) or is_same or not of_baseline or of_baseline - set(cells):
        return None
    return WholeRun(metric, lower, upper, len(cells), len(items))


def _judged(item: Difference, whole: WholeRun) -> Difference:
    """Not decided, unless the cell has changed by more than the whole run."""
    if item.lower is None or item.upper is None or item.verdict not in ("regressed", "improved"):
        return item
    limit = 1 + metrics.BY_NAME[item.metric].threshold
    is_slower, is_more = whole.lower > 1, item.lower > 1
    beyond = item.lower > whole.upper * limit if is_slower else item.upper < whole.lower / limit
    if is_slower != is_more or beyond:
        return item
    return replace(item, verdict="inconclusive", reason=REASON, rounds_needed=None)
