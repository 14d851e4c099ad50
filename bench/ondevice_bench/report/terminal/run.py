"""A run in the terminal: its cells by workload, their effect on training, problems and notes."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ondevice_bench import metrics
from ondevice_bench.analyse.groups import apart_notes
from ondevice_bench.analyse.learning import Learning, learning, learning_groups
from ondevice_bench.analyse.summary import NOT_INTERLEAVED, CellSummary, RunSummary
from ondevice_bench.report.calm import about_calm
from ondevice_bench.report.folding import folded, unmeasured_lines
from ondevice_bench.report.quantities import (
    Measured,
    learning_metrics,
    quantity_of,
    rank_basis,
)
from ondevice_bench.suite.labels import labelled
from ondevice_bench.terminal import Table


def run_tables(summary: RunSummary) -> list[Table]:
    """The headline numbers of the cells, one table for each workload.

    A run that measures none of them, and in which nothing failed, has no table.
    """
    columns = [metrics.BY_NAME[name] for name in metrics.HEADLINES]
    if not _measures_any(columns, summary) and set(summary.statuses) <= {"ok"}:
        return []
    shown = {cell.planned.cell: cell for cell in summary.cells if _is_shown(cell)}
    tables = []
    for group in labelled(shown):
        cells = [shown[cell] for cell in group.cells]
        titles = ["method", *(metric.label for metric in columns)]
        has_status = any(cell.status != "ok" for cell in cells)
        table = Table(*titles, *(["status"] * has_status), heading=group.heading)
        for label, cell in zip(group.labels, cells, strict=True):
            table.add_row(label, *_texts(cell, columns), *([cell.status] * has_status))
        tables.append(table)
    return tables


def learning_tables(lines: Sequence[Learning]) -> list[Table]:
    """The effect of methods on training. All seeds of a workload share a line."""
    tables = []
    for group in learning_groups(lines):
        heading = f"effect on training: {group.heading}"
        columns = [metric for metric in learning_metrics(group.lines) if "learning" in metric.roles]
        table = Table("method", *(metric.label for metric in columns), "seeds", heading=heading)
        for label, line in zip(group.labels, group.lines, strict=True):
            table.add_row(label, *_texts(line, columns), str(len(line.seeds)))
        tables.append(table)
    return tables


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
    remarks = [
        *(("this machine before it measured", f"{n}; see `bench doctor`") for n in summary.notes),
        ("this machine while it measured", summary.unwatched),
        ("this machine while it measured", about_calm(summary)),
        ("this run", "" if summary.is_interleaved else NOT_INTERLEAVED),
    ]
    notes = [(cell.id, note) for cell in summary.cells for note in cell.notes]
    return [
        *scopes,
        *(f"caveat: {who}: {text}" for who, text in remarks if text),
        *folded("caveat", [*apart_notes(summary), *notes]),
    ]


def problem_lines(summary: RunSummary) -> list[str]:
    """What was not measured: for each reason one line with the number of cells."""
    planned = summary.planned
    kinds = dict.fromkeys(cell.status for cell in planned if cell.problems)
    lines = [
        line
        for kind in kinds
        for line in folded(
            kind, ((cell.id, cell.problems[0]) for cell in planned if cell.status == kind)
        )
    ]
    return [*lines, *unmeasured_lines(cell.planned for cell in summary.cells)]


def _measures_any(columns: Sequence[metrics.Metric], summary: RunSummary) -> bool:
    return bool({metric.pass_name for metric in columns} & {*summary.run.settings["measure"]})


def _is_shown(cell: CellSummary) -> bool:
    """Whether the cell has a row: it was measured, or it failed."""
    return cell.planned.state == "planned" and (cell.status != "skipped" or bool(cell.estimates))


def _texts(measured: Measured, columns: Sequence[metrics.Metric]) -> list[str]:
    quantities = [quantity_of(measured, metric.name) for metric in columns]
    return [f"{each.estimate}\n{each.interval}".strip() for each in quantities]
