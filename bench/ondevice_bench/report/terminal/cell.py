"""One cell in the terminal."""

from ondevice_bench import metrics
from ondevice_bench.analyse.summary import CellSummary
from ondevice_bench.record.details import TreatedLayer
from ondevice_bench.report.quantities import quantity_of, rank_basis
from ondevice_bench.terminal import Table


def cell_table(cell: CellSummary) -> Table:
    """All numbers of a cell."""
    rows = Table("metric", "estimate", "interval", "scope", "basis")
    for name, estimate in cell.estimates.items():
        metric, quantity = metrics.described(name), quantity_of(cell, name)
        rows.add_row(
            metric.label, quantity.estimate, quantity.interval, metric.scope, estimate.basis
        )
    return rows


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
