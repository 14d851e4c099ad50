"""A run in the terminal: its cells, their effect on training, and notes."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ondevice_bench import metrics
from ondevice_bench.analyse.learning import Learning, learning
from ondevice_bench.analyse.summary import NOT_INTERLEAVED, RunSummary
from ondevice_bench.report.quantities import (
    Measured,
    learning_metrics,
    quantity_of,
    rank_basis,
)
from ondevice_bench.terminal import Table

LISTED = 2  # cells that a note names; it only counts further ones


def run_table(summary: RunSummary) -> Table:
    """The headline numbers of each cell, and its first problem."""
    columns = [metrics.BY_NAME[name] for name in metrics.HEADLINES]
    cells = Table("cell", *(metric.label for metric in columns), "status")
    for cell in summary.cells:
        status = ": ".join([cell.status, *cell.problems[:1]])
        cells.add_row(cell.id, *_texts(cell, columns), status)
    return cells


def learning_table(lines: Sequence[Learning]) -> Table:
    """The effect of methods on training. All seeds of a workload share a line."""
    columns = [metric for metric in learning_metrics(lines) if "learning" in metric.roles]
    workloads = Table("cells", *(metric.label for metric in columns), "seeds")
    for line in lines:
        workloads.add_row(line.id, *_texts(line, columns), str(len(line.seeds)))
    return workloads


def run_json(summary: RunSummary, page: Path) -> dict[str, Any]:
    """A run's summary, its effect on training, and where its page is."""
    lines = [line.to_dict() for line in learning(summary)]
    return {**summary.to_dict(), "learning": lines, "report": str(page)}


def run_notes(summary: RunSummary) -> list[str]:
    """The meaning of the columns, and warnings about them."""
    columns = [metrics.BY_NAME[name] for name in metrics.HEADLINES]
    scopes = [f"{metric.label}: {metric.title} ({metric.scope})" for metric in columns]
    bases = dict.fromkeys(rank_basis(cell.planned.cell) for cell in summary.cells)
    scopes += [basis for basis in bases if basis]
    by_note: dict[str, list[str]] = {}
    for cell in summary.cells:
        for note in cell.notes:
            by_note.setdefault(note, []).append(cell.id)
    machine = [f"note: this machine: {note}; see `bench doctor`" for note in summary.notes]
    order = [] if summary.is_interleaved else [f"note: this run: {NOT_INTERLEAVED}"]
    return [
        *scopes,
        *machine,
        *order,
        *(f"note: {_list(cells)}: {note}" for note, cells in by_note.items()),
    ]


def _texts(measured: Measured, columns: Sequence[metrics.Metric]) -> list[str]:
    quantities = [quantity_of(measured, metric.name) for metric in columns]
    return [f"{each.estimate}\n{each.interval}".strip() for each in quantities]


def _list(cells: Sequence[str]) -> str:
    first = ", ".join(cells[:LISTED])
    return first if len(cells) <= LISTED else f"{first} and {len(cells) - LISTED} more"
