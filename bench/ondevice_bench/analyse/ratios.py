"""The ratio of a metric between two cells, with its interval."""

from statistics import median

from ondevice_bench import metrics, passes
from ondevice_bench.analyse.meters import why_not_together
from ondevice_bench.analyse.summary import CellSummary, estimate_of
from ondevice_bench.stats import Estimate, estimate_readings


def ratio(metric: str, over: Estimate | None, under: Estimate | None) -> Estimate | None:
    """The ratio of two estimates. Its interval covers all ratios between the two intervals."""
    if over is None or under is None:
        return None
    over, under = _for_ratio(metric, over), _for_ratio(metric, under)
    if not under.estimate:
        return None
    middle = over.estimate / under.estimate
    if over.basis == under.basis == "exact":
        return Estimate(middle, middle, middle, "exact")
    bounds = _ratio_bounds(over, under)
    if bounds is None:
        return Estimate(middle, None, None, f"{over.basis}, over: {under.basis}")
    basis = f"between the farthest ends of both intervals: {over.basis}, over: {under.basis}"
    return Estimate(middle, *bounds, basis)


def _ratio_bounds(over: Estimate, under: Estimate) -> tuple[float, float] | None:
    """The lowest and the highest ratio; None without both intervals, or if `under` may be 0."""
    if over.lower is None or over.upper is None or under.lower is None or under.upper is None:
        return None
    if under.lower <= 0 <= under.upper:
        return None
    ends = [one / other for one in (over.lower, over.upper) for other in (under.lower, under.upper)]
    return min(ends), max(ends)


def ratio_of(metric: str, cell: CellSummary, base: CellSummary | None) -> Estimate | None:
    """The ratio of a cell to its baseline. If several boards measured them, round by round."""
    if base is None or not _is_of_same_layers(metric, cell, base):
        return None
    if why_not_together(metric, base.meters, cell.meters):
        return None
    if metric in cell.origins and metric in base.origins:
        return _ratio_by_round(metric, cell, base)
    return ratio(metric, cell.estimates.get(metric), base.estimates.get(metric))


def _ratio_by_round(metric: str, cell: CellSummary, base: CellSummary) -> Estimate | None:
    """The median of the ratios of all rounds in which one board measured both cells.

    Its interval covers the intervals of the rounds. No ratio contains a difference between boards.
    """
    over, under = (
        dict(zip(side.origins[metric], side.samples[metric], strict=True)) for side in (cell, base)
    )
    pairs = [(over[origin], under[origin]) for origin in over if origin in under]
    ratios = [
        ratio(metric, estimate_of(metric, [one]), estimate_of(metric, [other]))
        for one, other in pairs
    ]
    found = [each for each in ratios if each is not None]
    is_exact = {each.basis for each in found} == {"exact"}
    if len(found) < 2 or (is_exact and len(set(found)) == 1):
        return next(iter(found), None)
    basis = f"{len(found)} rounds' ratios, each on one board"
    bounds = [
        (each.lower, each.upper)
        for each in found
        if each.lower is not None and each.upper is not None
    ]
    if len(bounds) < len(found):
        return estimate_readings([each.estimate for each in found], basis)
    middle = median(each.estimate for each in found)
    lows, highs = zip(*bounds, strict=True)
    return Estimate(
        middle, min(lows), max(highs), f"median of {basis}, envelope of their intervals"
    )


def _for_ratio(metric: str, estimate: Estimate) -> Estimate:
    """The estimate that a ratio uses. If it differs from the result, its basis says so."""
    described = metrics.described(metric)
    bounds = [value for value in (estimate.lower, estimate.upper) if value is not None]
    note = described.ratio_note(estimate.estimate, *bounds)
    if not note:
        return estimate
    return Estimate(
        described.for_ratio(estimate.estimate),
        None if estimate.lower is None else described.for_ratio(estimate.lower),
        None if estimate.upper is None else described.for_ratio(estimate.upper),
        f"{estimate.basis} ({note})",
    )


def _is_of_same_layers(metric: str, cell: CellSummary, base: CellSummary) -> bool:
    """Whether both numbers are about the same layers: some passes look at chosen layers only."""
    measured_by = passes.BY_NAME.get(metrics.described(metric).pass_name)
    looks_at_layers = measured_by is not None and measured_by.of_layers
    return not looks_at_layers or cell.planned.cell.layers == base.planned.cell.layers
