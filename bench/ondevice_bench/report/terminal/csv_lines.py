"""Runs as CSV: one row for each run, cell and metric. Only some cells are in memory at once."""

import csv
from collections.abc import Iterable, Iterator
from functools import cache, lru_cache

from ondevice_bench.analyse.frame import COLUMNS, cell_columns, metric_columns
from ondevice_bench.analyse.summary import CellEstimates
from ondevice_bench.record.model import Run

_FORMULA = ("=", "+", "-", "@")


class _Line:
    """A file for `csv` that hands each line back."""

    @staticmethod
    def write(text: str) -> str:
        return text


_WRITER = csv.writer(_Line(), lineterminator="")


def csv_lines(cells: Iterable[tuple[Run, CellEstimates]]) -> Iterator[str]:
    """The head, then the lines of each cell that has estimates."""
    yield ",".join(COLUMNS)
    for run, cell in cells:
        of_cell = _line(*map(_safe, cell_columns(run, cell)))
        for *words, lower, estimate, upper, basis in metric_columns(cell):
            middle = repr(estimate)
            low = "" if lower is None else middle if lower is estimate else repr(lower)
            high = "" if upper is None else middle if upper is estimate else repr(upper)
            yield f"{of_cell},{_words(*words)},{low},{middle},{high},{_basis(basis)}"


def _line(*values: object) -> str:
    line: str = _WRITER.writerow(values)
    return line


# equal in thousands of lines
_words = cache(_line)
_basis = lru_cache(1_000)(_line)


def _safe(value: object) -> object:
    """The value. A text that a spreadsheet would take for a formula begins with a quote."""
    is_formula = isinstance(value, str) and value.lstrip().startswith(_FORMULA)
    return f"'{value}" if is_formula else value
