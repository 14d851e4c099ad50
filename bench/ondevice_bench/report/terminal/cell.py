"""One cell in the terminal."""

from typing import TYPE_CHECKING

from ondevice_bench.analyse.summary import CellSummary
from ondevice_bench.record import metrics
from ondevice_bench.report.quantities import figure, rank_basis
from ondevice_bench.terminal import table

if TYPE_CHECKING:
    from rich.table import Table


def cell_table(cell: CellSummary) -> "Table":
    """Every figure of a cell."""
    made = table("metric", "estimate", "interval", "scope", "basis")
    for name, found in cell.estimates.items():
        metric, shown = metrics.described(name), figure(cell, name)
        made.add_row(metric.label, shown.estimate, shown.interval, metric.scope, found.basis)
    return made


def cell_lines(cell: CellSummary) -> list[str]:
    """What a cell is, what went wrong, and what to know of it."""
    basis = rank_basis(cell.planned.cell)
    ranks = cell.details.get("trace", {}).get("treated", {})
    return [
        f"cell: {cell.id}",
        f"fingerprint: {cell.planned.cell.fingerprint}",
        f"status: {cell.status}",
        *([basis] if basis else []),
        *(f"problem: {text}" for text in cell.problems),
        *(f"note: {text}" for text in cell.notes),
        *(
            f"treated: {name}: input {list(layer['shape'] or ())}, "
            f"ranks {list(layer['activation_ranks'])}"
            + (f", weight rank {layer['weight_rank']}" if layer["weight_rank"] else "")
            for name, layer in ranks.items()
        ),
    ]
