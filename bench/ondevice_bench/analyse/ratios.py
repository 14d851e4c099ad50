"""The ratio of a metric between two cells, with its interval."""

from statistics import median

from ondevice_bench import metrics, passes
from ondevice_bench.analyse.meters import why_not_together
from ondevice_bench.analyse.summarise import estimate_of
from ondevice_bench.analyse.summary import CellSummary
from ondevice_bench.stats import Estimate, estimate_readings


def ratio(metric: str, over: Estimate | None, under: Estimate | None) -> Estimate | None:
    """The ratio of two estimates. Its interval covers all ratios between the two intervals.

    None if a number is missing, or if `under` is not positive: a peak over a floor may be negative,
    and a multiple of it would have the wrong direction.
    """
    if over is None or under is None:
        return None
    over, under = _for_ratio(metric, over), _for_ratio(metric, under)
    if under.estimate <= 0:
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
    if under.lower <= 0:
        return None
    ends = [one / other for one in (over.lower, over.upper) for other in (under.lower, under.upper)]
    return min(ends), max(ends)


def ratio_of(metric: str, cell: CellSummary, base: CellSummary | None) -> Estimate | None:
    """The ratio of a cell to its baseline. If several boards measured them, round by round."""
    if base is None or _why_not_alike(metric, cell, base):
        return None
    if metric in cell.origins and metric in base.origins:
        return _ratio_by_round(metric, cell, base)
    return ratio(metric, cell.estimates.get(metric), base.estimates.get(metric))


def why_no_ratio(metric: str, cell: CellSummary, base: CellSummary) -> str:
    """Why a metric that both cells have gives no ratio; empty if a cell lacks it, or if it does."""
    if metric not in cell.estimates or metric not in base.estimates:
        return ""
    if ratio_of(metric, cell, base) is not None:
        return ""
    if why := _why_not_alike(metric, cell, base):
        return why
    if metric in cell.origins and not {*cell.origins[metric]} & {*base.origins.get(metric, ())}:
        return "no board measured it and the baseline in the same round"
    return "the baseline's number is not positive"


def between_boards(metric: str, over: CellSummary, under: CellSummary) -> Estimate | None:
    """The ratio of a cell on one board to the same cell on another board."""
    if _why_not_alike(metric, over, under):
        return None
    return ratio(metric, over.estimates.get(metric), under.estimates.get(metric))


def why_not_between(metric: str, over: CellSummary, under: CellSummary) -> str:
    """Why a metric that both boards have gives no ratio of them; empty if it does."""
    if between_boards(metric, over, under) is not None:
        return ""
    why = _why_not_alike(metric, over, under, "the other board")
    return why or "the other board's number is not positive"


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


def _why_not_alike(
    metric: str, cell: CellSummary, base: CellSummary, other: str = "the baseline"
) -> str:
    """Why the two numbers are not of the same thing; empty if they are, or if one is missing."""
    described = metrics.described(metric)
    measured_by = passes.BY_NAME.get(described.pass_name)
    looks_at_layers = measured_by is not None and measured_by.of_layers
    if looks_at_layers and cell.planned.cell.layers != base.planned.cell.layers:
        return f"{other} was measured for other layers"
    started, before = cell.launches.get(metric), base.launches.get(metric)
    if described.kind == "noisy" and started and before and started != before:
        return f"its processes were {started}, and those of {other} {before}"
    return why_not_together(metric, base.meters, cell.meters)
