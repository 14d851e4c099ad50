"""Runs as CSV: one row for each run, cell and metric. Only one cell at a time is in memory."""

import csv
import io
from collections.abc import Iterable, Iterator

from ondevice_bench.analyse.frame import COLUMNS, rows_of
from ondevice_bench.analyse.summary import CellSummary
from ondevice_bench.record.model import Run

_FORMULA = ("=", "+", "-", "@")


def csv_lines(cells: Iterable[tuple[Run, CellSummary]]) -> Iterator[str]:
    """The head, then the lines of each cell that has estimates."""
    yield ",".join(COLUMNS)
    for run, cell in cells:
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows(map(_safe, rows_of(run, cell)))
        if lines := text.getvalue():
            yield lines.removesuffix("\n")


def _safe(row: tuple[object, ...]) -> list[object]:
    """The row. A text that a spreadsheet would take for a formula begins with a quote."""
    return [
        f"'{value}" if type(value) is str and value.lstrip()[:1] in _FORMULA else value
        for value in row
    ]
