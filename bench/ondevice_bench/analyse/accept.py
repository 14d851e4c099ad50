"""The values of a run that somebody accepts in place of those of a baseline."""

from dataclasses import replace

from ondevice_bench import metrics
from ondevice_bench.analyse.compare import (
    CONFIDENCE,
    NOISY,
    OTHER_KERNELS,
    claims_on,
    compare,
    join_cells,
    undisturbed,
)
from ondevice_bench.analyse.comparison import Comparison, Difference
from ondevice_bench.analyse.summary import CellSummary, RunSummary
from ondevice_bench.errors import BadInput, unknown
from ondevice_bench.record.acceptance import Acceptance
from ondevice_bench.stats import fewest_rounds

ALL = "all"  # in place of a metric: every one that regressed


def accepted_of(
    base: RunSummary, cell: CellSummary, metric: str, new: RunSummary, *, by: str, because: str
) -> list[Acceptance]:
    """The values of the metric in the new run; BadInput if there is nothing to accept."""
    pairs = {old.id: other.id for old, other in join_cells(base.cells, new.cells).pairs}
    if cell.id not in pairs:
        raise BadInput(f"{new.run.id}: has no cell that matches {cell.id} of the baseline")
    (found,) = (each for each in new.cells if each.id == pairs[cell.id])
    alone = replace(base, cells=(cell,)), RunSummary(new.run, (found,))
    claims = claims_on(each for each in base.cells if each.id in pairs)
    comparison = compare(*alone, claims=claims)  # as the comparison of the whole runs judges it
    regressed = [item.metric for item in comparison.with_verdict("regressed")]
    names = regressed if metric == ALL else [metric]
    if not names:
        raise BadInput(f"{new.run.id}: no metric of {found.id} regressed: nothing to accept")
    fewest = fewest_rounds(1 - (1 - CONFIDENCE) / max(1, claims_on(base.cells)))
    return [
        Acceptance(cell.id, name, _values(*alone, comparison, name, fewest), by, because)
        for name in names
    ]


def _values(
    base: RunSummary, new: RunSummary, comparison: Comparison, metric: str, fewest: int
) -> tuple[float, ...]:
    """The new value of an exact metric, or the value of each process of a noisy metric.

    BadInput if a comparison would leave the metric out, or if too few processes measured it: all
    later comparisons would be inconclusive.
    """
    (cell,), (found,) = base.cells, new.cells
    judged = [m.name for m in metrics.ALL if m.kind == "exact" or m.name in NOISY]
    here = [name for name in judged if name in cell.estimates]
    if metric not in here:
        raise BadInput(f"{cell.id}: {unknown('metric', metric, [*here, ALL])}")
    if metric not in found.estimates:
        raise BadInput(f"{new.run.id}: {found.id}: {metric} was not measured")
    what = f"{new.run.id}: {metric} of {found.id}"
    difference = _compared(comparison, metric, what)
    if metrics.BY_NAME[metric].kind == "exact":
        if difference.verdict in ("unchanged", "accepted"):
            raise BadInput(f"{what} is unchanged: nothing to accept")
        return (found.estimates[metric].estimate,)
    values = tuple(undisturbed(found, metric))
    if len(values) < min(fewest, len(undisturbed(cell, metric))):
        raise BadInput(
            f"{what}: {len(values)} processes measured it; "
            f"{fewest} are needed, or no later change would be seen"
        )
    return values


def _compared(comparison: Comparison, metric: str, what: str) -> Difference:
    """What the comparison says of the metric; BadInput if it does not compare it."""
    found = next((each for each in comparison.differences if each.metric == metric), None)
    if found is None:
        is_of_kernels = metric in comparison.of_other_kernels
        why_not = OTHER_KERNELS if is_of_kernels else comparison.not_compared
        raise BadInput(f"{what} cannot be accepted: {why_not}")
    if found.reason and not found.rounds_needed:  # more rounds would not help
        raise BadInput(f"{what} cannot be accepted: {found.reason}")
    return found
