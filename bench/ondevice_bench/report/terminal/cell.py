"""One cell in the terminal."""

from ondevice_bench import metrics
from ondevice_bench.analyse.groups import CellWithBaseline
from ondevice_bench.analyse.summary import CellSummary
from ondevice_bench.record.details import TreatedLayer
from ondevice_bench.report.quantities import quantity_of, rank_basis, ratio_to_baseline
from ondevice_bench.terminal import Table


def cell_table(member: CellWithBaseline) -> Table:
    """All numbers of a cell, the most important first, without those that are zero throughout."""
    cell, base = member.cell, None if member.is_baseline else member.base
    ratio = [] if base is None else [f"ratio to {base.planned.cell.method}"]
    rows = Table("metric", "estimate", "interval", *ratio, "scope", "basis")
    shown = [name for name in cell.estimates if not (_is_zero(cell, name) and _is_zero(base, name))]
    for name in sorted(shown, key=_importance):
        metric, quantity = metrics.described(name), quantity_of(cell, name)
        ratio = [] if base is None else [ratio_to_baseline(member, name).estimate]
        numbers = (quantity.estimate, quantity.interval, *ratio)
        rows.add_row(_label(metric), *numbers, metric.scope, cell.estimates[name].basis)
    return rows


def _importance(name: str) -> tuple[int, int]:
    """Headlines first, then other columns of tables, then parts of a whole, then the rest."""
    metric = metrics.described(name)
    place = metrics.ALL.index(metric) if metric in metrics.ALL else len(metrics.ALL)
    for rank, role in enumerate(("headline", "table", "learning")):
        if role in metric.roles:
            return rank, place
    return (3 if metric.part_of else 4), place


def _label(metric: metrics.Metric) -> str:
    """The label of a metric. A label that two of them have says of what it is a part."""
    several = sum(other.label == metric.label for other in metrics.ALL) > 1
    return f"{metric.label} ({metric.part_of})" if several and metric.part_of else metric.label


def _is_zero(cell: CellSummary | None, name: str) -> bool:
    """Whether the metric has no value but zero."""
    estimate = cell.estimates.get(name) if cell else None
    return estimate is None or not (estimate.estimate or estimate.lower or estimate.upper)


def cell_lines(cell: CellSummary) -> list[str]:
    """The cell, its problems, its notes, and the ranks of its layers."""
    basis = rank_basis(cell.planned.cell)
    trace = cell.details_of("trace")
    return [
        f"cell: {cell.id}",
        f"fingerprint: {cell.planned.cell.fingerprint}",
        f"status: {cell.status}",
        *([basis] if basis else []),
        *(f"problem: {text}" for text in cell.problems),
        *(f"note: {text}" for text in cell.notes),
        *_unavailable(cell),
        *(
            f"changed: {name}: {_input(layer)}, ranks {list(layer.activation_ranks or ())}"
            + (f", weight rank {layer.weight_rank}" if layer.weight_rank else "")
            for name, layer in trace.treated.items()
        ),
        *(f"not changed: {name}: {why}" for name, why in trace.left_alone.items()),
    ]


def _unavailable(cell: CellSummary) -> list[str]:
    """A line for each reason why metrics are missing; none for a reason that is a problem."""
    by_reason: dict[str, list[str]] = {}
    for name, reason in cell.unavailable.items():
        by_reason.setdefault(reason, []).append(metrics.described(name).label)
    return [
        f"not measured: {', '.join(labels)}: {reason}"
        for reason, labels in by_reason.items()
        if reason not in cell.problems
    ]


def _input(layer: TreatedLayer) -> str:
    return "no input in training" if layer.shape is None else f"input {list(layer.shape)}"
