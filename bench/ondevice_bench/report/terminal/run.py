"""A run in the terminal: its cells, what they do to learning, and what to know of them."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ondevice_bench.analyse.learning import Learning, learning
from ondevice_bench.analyse.summary import NOT_INTERLEAVED, RunSummary
from ondevice_bench.record import metrics
from ondevice_bench.report.quantities import (
    HEADLINES,
    LESSONS,
    Measured,
    figure,
    learned,
    rank_basis,
)
from ondevice_bench.terminal import table

if TYPE_CHECKING:
    from rich.table import Table

NAMED = 2  # cells that a note names before it only counts them


def run_table(summary: RunSummary) -> "Table":
    """The headline figures of each cell, and why some have none."""
    shown = [metrics.BY_NAME[name] for name in HEADLINES]
    made = table("cell", *(metric.label for metric in shown), "status")
    for cell in summary.cells:
        status = ": ".join([cell.status, *cell.problems[:1]])
        made.add_row(cell.id, *_texts(cell, shown), status)
    return made


def learning_table(lines: Sequence[Learning]) -> "Table":
    """What methods do to learning, a line for each workload whatever its seed."""
    shown = [metric for metric in learned(lines) if metric.name in LESSONS]
    made = table("cells", *(metric.label for metric in shown), "seeds")
    for line in lines:
        made.add_row(line.id, *_texts(line, shown), str(len(line.seeds)))
    return made


def run_json(summary: RunSummary, page: Path) -> dict[str, Any]:
    """A run's summary, its effect on training, and where its page is."""
    lines = [line.to_json() for line in learning(summary)]
    return {**summary.to_json(), "learning": lines, "report": str(page)}


def _texts(measured: Measured, shown: Sequence[metrics.Metric]) -> list[str]:
    figures = [figure(measured, metric.name) for metric in shown]
    return [f"{found.estimate}\n{found.interval}".strip() for found in figures]


def run_notes(summary: RunSummary) -> list[str]:
    """What the table's figures are of, and what a reader must know before trusting them."""
    shown = [metrics.BY_NAME[name] for name in HEADLINES]
    scopes = [f"{metric.label}: {metric.title} ({metric.scope})" for metric in shown]
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
        *(f"note: {_listed(cells)}: {note}" for note, cells in by_note.items()),
    ]


def _listed(cells: Sequence[str]) -> str:
    first = ", ".join(cells[:NAMED])
    return first if len(cells) <= NAMED else f"{first} and {len(cells) - NAMED} more"
