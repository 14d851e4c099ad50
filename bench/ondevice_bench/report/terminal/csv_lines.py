"""Runs as CSV: one row for each run, cell and metric. Only one cell at a time is in memory."""

import csv
import io
from collections.abc import Iterable, Iterator

from ondevice_bench.analyse.frame import COLUMNS, cell_columns, metric_columns
from ondevice_bench.analyse.summary import CellSummary
from ondevice_bench.record.model import Run

_FORMULA = ("=", "+", "-", "@")


def csv_lines(cells: Iterable[tuple[Run, CellSummary]]) -> Iterator[str]:
    """The head, then the lines of each cell that has estimates."""
    yield ",".join(COLUMNS)
    for run, cell in cells:
        text = io.StringIO()
        of_cell = tuple(map(_safe, cell_columns(run, cell)))
        of_metrics = metric_columns(cell)  # words of ours, and numbers
        csv.writer(text, lineterminator="\n").writerows((*of_cell, *each) for each in of_metrics)
        if lines := text.getvalue():
            yield lines.removesuffix("\n")


def _safe(value: object) -> object:
    """The value. A text that a spreadsheet would take for a formula begins with a quote."""
    is_formula = isinstance(value, str) and value.lstrip().startswith(_FORMULA)
    return f"'{value}" if is_formula else value
