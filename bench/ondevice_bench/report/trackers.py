"""A run in the formats of trackers: Bencher, and the action github-action-benchmark.

Only measured cells are exported. A name contains the scope of its metric, so that numbers of
different scopes are different series.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ondevice_bench import metrics
from ondevice_bench.analyse.summary import CellSummary, RunSummary
from ondevice_bench.errors import BadInput, NothingRan
from ondevice_bench.stats import Estimate

LONGEST_NAME, LONGEST_MEASURE = 1024, 64  # what Bencher takes
# the action knows this unit, and converts it to ms and µs
_UNITS = {"seconds": "s"}


@dataclass(frozen=True)
class Exported:
    """The content of the file, and what is not in it."""

    content: Any
    cells: int
    left_out: tuple[str, ...] = ()


def bencher(summary: RunSummary) -> Exported:
    """Bencher's metric format: by cell, then by metric, the value with the ends of its interval."""
    cells = _measured(summary)
    content = {
        _short_enough(cell.id): {
            _slug(metric): _with_bounds(each) for metric, each in _metrics_of(cell)
        }
        for cell in cells
    }
    return Exported(content, len(cells))


def github_action_benchmark(summary: RunSummary) -> Exported:
    """The list that the action reads as `customSmallerIsBetter`."""
    cells = _measured(summary)
    found = [(cell, metric, each) for cell in cells for metric, each in _metrics_of(cell)]
    content = [_entry(cell, metric, each) for cell, metric, each in found if metric.lower_is_better]
    bigger = dict.fromkeys(metric.name for _, metric, _ in found if not metric.lower_is_better)
    return Exported(content, len(cells), tuple(bigger))


FORMATS: Mapping[str, Callable[[RunSummary], Exported]] = {
    "bmf": bencher,
    "github-action-benchmark": github_action_benchmark,
}


def _measured(summary: RunSummary) -> list[CellSummary]:
    """The cells with numbers, even if a pass of a cell was skipped. What failed is left out."""
    cells = [cell for cell in summary.cells if cell.status in ("ok", "skipped") and cell.estimates]
    if not cells:
        raise NothingRan(f"{summary.run.id}: no cell was measured, so there is nothing to export")
    return cells


def _metrics_of(cell: CellSummary) -> Iterator[tuple[metrics.Metric, Estimate]]:
    """The metrics that this version of bench knows. The unit of any other metric is unknown."""
    for name, each in cell.estimates.items():
        if name in metrics.BY_NAME:
            yield metrics.BY_NAME[name], each


def _slug(metric: metrics.Metric) -> str:
    """`step-seconds-whole-network`. Bencher makes a measure of that name."""
    return f"{metric.name} {metric.scope}".replace("_", "-").replace(" ", "-")


def _with_bounds(each: Estimate) -> dict[str, float]:
    bounds = {"lower_value": each.lower, "upper_value": each.upper}
    known = {name: bound for name, bound in bounds.items() if bound is not None}
    return {"value": each.estimate, **known}


def _entry(cell: CellSummary, metric: metrics.Metric, each: Estimate) -> dict[str, Any]:
    entry = {
        "name": f"{cell.id}: {metric.name} ({metric.scope})",
        "unit": _UNITS.get(metric.unit, metric.unit),
        "value": each.estimate,
        "extra": each.basis,
    }
    if each.lower is None or each.upper is None:
        return entry
    # the format has one number for both sides of the interval: the wider side counts
    wider = max(each.upper - each.estimate, each.estimate - each.lower)
    interval = f"from {each.lower:.6g} to {each.upper:.6g}: {each.basis}"
    return {**entry, "range": f"± {float(wider)!r}", "extra": interval}


def _short_enough(name: str) -> str:
    if len(name) > LONGEST_NAME:
        raise BadInput(
            f"a cell's id has {len(name):,} characters, but Bencher takes {LONGEST_NAME:,}: "
            f"give the mix a `label`: {name[:60]}…"
        )
    return name
