"""How results are printed: tables, and JSON. rich is loaded only when a table is needed."""

import io
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

PIPE_WIDTH = 160
MANY_ROWS = 1_000  # rich takes milliseconds for each row


def table(*titles: str) -> "Table":
    """A plain table with these column titles. Long words are folded only where space is short."""
    from rich import box
    from rich.table import Table

    plain = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for title in titles:
        plain.add_column(title, overflow="fold")
    return plain


def print_table(printed: "Table") -> None:
    """A table on standard output. Outside a terminal it is wide enough for whole cell ids.

    A table with many rows has plain lines, as long as they need to be.
    """
    if printed.row_count > MANY_ROWS:
        for line in _plain_lines(printed):
            print(line)
        return
    _console(None if sys.stdout.isatty() else PIPE_WIDTH).print(printed)


def table_text(printed: "Table") -> str:
    """A table as plain text, without spaces at the ends of its lines."""
    text = io.StringIO()
    _console(PIPE_WIDTH, text).print(printed)
    return "\n".join(line.rstrip() for line in text.getvalue().splitlines())


def print_rows(rows: Sequence[Mapping[str, Any]], *, as_json: bool) -> None:
    """Rows with the same keys, as a table or as JSON."""
    if as_json:
        print_json(list(rows))
        return
    if not rows:
        return
    printed = table(*rows[0])
    for row in rows:
        printed.add_row(*map(_cell, row.values()))
    print_table(printed)


def print_json(value: Any) -> None:
    """Plain values as JSON, written in parts: the whole text is never in memory."""
    sys.stdout.writelines(json.JSONEncoder(indent=2, allow_nan=False).iterencode(value))
    print()


def _plain_lines(printed: "Table") -> Iterator[str]:
    """The table's titles and rows, each column as wide as its longest text."""
    titles = [str(column.header) for column in printed.columns]
    columns = [[str(cell) for cell in column.cells] for column in printed.columns]
    widths = [max(map(len, (title, *cells))) for title, cells in zip(titles, columns, strict=True)]
    for row in (titles, ["─" * width for width in widths], *zip(*columns, strict=True)):
        cells = (text.ljust(width) for text, width in zip(row, widths, strict=True))
        yield " " + "   ".join(cells).rstrip()


def _cell(value: object) -> str:
    if isinstance(value, bool):
        return "✓" if value else ""
    return str(value)


def _console(width: int | None, file: IO[str] | None = None) -> "Console":
    from rich.console import Console

    return Console(file=file, width=width, highlight=False, markup=False)
