"""How results are printed: lines, tables and JSON. The only place that writes to a stream.

Names and messages come from bundles, stores and code of users. So every text is made safe to print:
no character of it can steer the terminal or turn the direction of the line.
rich is loaded only when a table is printed.
"""

import codecs
import io
import os
import re
import shutil
import sys
import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from operator import gt
from typing import Any, Literal

from ondevice_bench import strict_json
from ondevice_bench.errors import BadInput

PIPE_WIDTH = 160
# control characters except tab and new line; characters that change the direction of text, end a
# line or are invisible; half characters
UNSAFE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff"
    "\ufff9-\ufffb\ud800-\udfff\U000e0000-\U000e007f]"
)
# what a job of GitHub takes for a command: first in a line, or anywhere in its older form
_COMMAND = re.compile(r"^[^\S\n]*(?=::)|##(?=\[)", re.MULTILINE)
# our own signs for a terminal that has only ASCII
_ASCII = {"×": "x", "ε": "eps", "…": "...", "–": "-", "─": "-", "→": "->", "·": "|", "✓": "yes"}
LONGEST_ERROR = 1_000  # characters
LEAST_WIDTH = 20
MANY_ROWS = 1_000  # rich takes milliseconds for each row


def printable(text: str) -> str:
    """The text with a visible symbol for each character that could do something: `␛` for escape."""
    return text if text.isprintable() else UNSAFE.sub(_symbol, text)


def _symbol(match: re.Match[str]) -> str:
    code = ord(match[0])
    if code < 0x20:
        return chr(0x2400 + code)
    return "␡" if code == 0x7F else "\ufffd"


def one_line(text: str) -> str:
    """The text as one line, safe to print."""
    if text.isprintable():
        return text
    return printable(text.replace("\r\n", "\n")).replace("\n", "␊").replace("\t", " ")


class Table:
    """A plain table, perhaps with a heading. A text is on one line or wrapped between words.

    Where the columns have no room for whole words, each row is a paragraph: no name is ever cut.
    """

    def __init__(self, *titles: str, heading: str = "") -> None:
        self.titles = titles
        self.heading = heading
        self.rows: list[tuple[str, ...]] = []
        self.ends: set[int] = set()

    def add_row(self, *texts: str, end_section: bool = False) -> None:
        """Add a row. A text may have several lines."""
        if end_section:
            self.ends.add(len(self.rows))
        self.rows.append(texts)


def print_lines(*lines: str) -> None:
    """Lines on standard output."""
    _write("stdout", "".join(f"{printable(text)}\n" for text in lines))


def print_errors(*lines: str) -> None:
    """Lines on standard error, each with the name of the command."""
    _write("stderr", "".join(f"bench: {error_line(text)}\n" for text in lines))


def error_line(text: str) -> str:
    """The text of an error on one line. The middle of a long text is left out."""
    line = one_line(text)
    if len(line) <= LONGEST_ERROR:
        return line
    return f"{line[: LONGEST_ERROR - 203]} … {line[-200:]}"


def print_commands(*lines: str) -> None:
    """Commands for the machine that runs the job, on standard error: results keep their stream."""
    _write("stderr", "".join(f"{one_line(text)}\n" for text in lines), has_commands=True)


def print_progress(text: str, control: str = "") -> None:
    """A text on standard error, after a control sequence of ours."""
    _write("stderr", control + printable(text))


def print_tables(*printed: Table) -> None:
    """Tables on standard output, each below its heading.

    They are as wide as the terminal, or as `COLUMNS` says. Otherwise they are wide enough for whole
    ids. Many rows are printed as plain lines, as long as they need to be.
    """
    if sum(len(each.rows) for each in printed) > MANY_ROWS:
        for each in printed:
            print_lines(*_plain_lines(each))
        return
    width = known_width() or PIPE_WIDTH
    _write("stdout", "".join(f"{_drawn(each, width)}\n" for each in printed))


def print_notes(*lines: str) -> None:
    """Lines on standard output, wrapped between words if the width is known."""
    print_lines(*(wrapped(text, known_width()) for text in lines))


def known_width() -> int | None:
    """The width of the terminal, or of a pipe if the variable `COLUMNS` gives it."""
    if not sys.stdout.isatty() and not os.environ.get("COLUMNS", "").isdecimal():
        return None
    return max(LEAST_WIDTH, shutil.get_terminal_size((PIPE_WIDTH, 0)).columns)


def wrapped(text: str, width: int | None) -> str:
    """The text in lines of that width. No word is cut, so that names can be copied."""
    if width is None or len(text) <= width:
        return text
    return textwrap.fill(
        text,
        width,
        subsequent_indent="  ",
        break_long_words=False,
        break_on_hyphens=False,
    )


def table_text(printed: Table, width: int | None = None) -> str:
    """A table as plain text, without spaces at the ends of its lines."""
    return _drawn(printed, width or PIPE_WIDTH)


def print_rows(rows: Sequence[Mapping[str, Any]], *, as_json: bool) -> None:
    """Rows with the same keys, as a table or as JSON."""
    if as_json:
        print_json(list(rows))
        return
    if not rows:
        return
    printed = Table(*rows[0])
    for row in rows:
        printed.add_row(*map(_cell, row.values()))
    print_tables(printed)


def print_json(value: Any) -> None:
    """Plain values as JSON. Numbers that are not finite are null, and a line says so."""
    print_lines(strict_json.text_of(value, indent=2))
    if count := strict_json.not_finite(value):
        numbers = "1 number is" if count == 1 else f"{count} numbers are"
        print_errors(f"{numbers} not finite (nan or inf), which JSON cannot say: written as null")


def open_streams() -> None:
    """Make the standard streams writable: a closed one discards all, each character has a code.

    The next file that is opened would take a closed descriptor.
    """
    if not os.environ.get("COLUMNS", "0").isdecimal():
        del os.environ["COLUMNS"]  # no width: other libraries would read it as a number
    codecs.register_error("bench-ascii", _in_ascii)
    for descriptor, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        stream = getattr(sys, name)
        if stream is None:
            _to_nowhere(descriptor)
            stream = os.fdopen(descriptor, mode, encoding="utf-8", closefd=False)
            setattr(sys, name, stream)
        if mode == "w" and hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="bench-ascii")


def flush() -> None:
    """Write what other libraries have left in standard output."""
    _write("stdout", "")


def _write(name: Literal["stdout", "stderr"], text: str, *, has_commands: bool = False) -> None:
    """Write to a stream. If nothing reads it any more, the command continues in silence.

    In a job of GitHub, only text that has commands of ours has any: names may be foreign.
    """
    if not has_commands and os.environ.get("GITHUB_ACTIONS") == "true":
        text = _COMMAND.sub(lambda found: f"{found[0]}·", text)
    stream = getattr(sys, name)
    try:
        stream.write(text)
        stream.flush()
    except OSError as error:
        _to_nowhere(stream.fileno())  # what is left in the buffer, too
        if name == "stdout" and not isinstance(error, BrokenPipeError):
            raise BadInput(f"standard output: cannot be written: {error.strerror}") from None


def _to_nowhere(descriptor: int) -> None:
    nowhere = os.open(os.devnull, os.O_RDWR)
    if nowhere == descriptor:
        os.set_inheritable(descriptor, True)
    else:
        os.dup2(nowhere, descriptor)
        os.close(nowhere)


def _in_ascii(error: UnicodeError) -> tuple[str, int]:
    """Our own signs in other letters, and `?` for all else that a terminal has no code for."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    missing = error.object[error.start : error.end]
    return "".join(_ASCII.get(sign, "?") for sign in missing), error.end


def _cell(value: object) -> str:
    if isinstance(value, bool):
        return "✓" if value else ""
    return str(value)


def _plain_lines(printed: Table) -> Iterator[str]:
    """Titles and rows, each on one line, each column as wide as its longest text."""
    if printed.heading:
        yield printed.heading
    titles, *rows = (
        [one_line(text.replace("\n", " ")) for text in row]
        for row in (printed.titles, *printed.rows)
    )
    widths = [max(map(len, column)) for column in zip(titles, *rows, strict=True)]
    for row in (titles, ["─" * width for width in widths], *rows):
        cells = (text.ljust(width) for text, width in zip(row, widths, strict=True))
        yield " " + "   ".join(cells).rstrip()


def _drawn(printed: Table, width: int) -> str:
    """The heading and the table, as wide as given at most."""
    from rich import box
    from rich.console import Console
    from rich.table import Table as RichTable

    widths = _widths(printed, width)
    if widths is None:
        return _as_paragraphs(printed, width)
    drawn = RichTable(box=box.SIMPLE_HEAD, pad_edge=False)
    for title, room in zip(printed.titles, widths, strict=True):
        drawn.add_column(printable(title), overflow="fold", width=room)
    for place, row in enumerate(printed.rows):
        drawn.add_row(*map(printable, row), end_section=place in printed.ends)
    file = io.StringIO()
    Console(file=file, width=width, highlight=False, markup=False).print(drawn)
    lines = [line.rstrip() for line in file.getvalue().splitlines()]
    if printed.heading:
        lines[:1] = [wrapped(printable(printed.heading), width)]
    return "\n".join(lines)


def _as_paragraphs(printed: Table, width: int) -> str:
    """The first text of each row, and below it the others with their titles."""
    lines = [wrapped(printable(printed.heading), width)] if printed.heading else []
    for name, *texts in printed.rows:
        named = zip(printed.titles[1:], texts, strict=True)
        facts = (f"{title}: {' '.join(text.split())}".strip(": ") for title, text in named if text)
        lines += [printable(name), wrapped(f"  {printable(' · '.join(facts))}", width)]
    return "\n".join(["", *lines, ""])


def _widths(printed: Table, width: int) -> list[int] | None:
    """The width of each column in a table of that width; None if no table can have whole words.

    First titles are wrapped, then rows, those of the widest column first.
    """
    from rich.cells import cell_len

    def longest(texts: Iterable[str]) -> int:
        return max(map(cell_len, texts), default=1)

    widths, for_rows, for_words = [], [], []
    for title, *rows in zip(printed.titles, *printed.rows, strict=True):
        lines = [line for text in rows for line in printable(text).split("\n")]
        words = [word for text in (title, *rows) for word in printable(text).split()]
        widths.append(longest([printable(title), *lines]))
        for_rows.append(longest([*printable(title).split(), *lines]))
        for_words.append(longest(words))
    room = width - 3 * len(widths)
    if sum(for_words) > room:
        return None
    for least in (for_rows, for_words):
        while sum(widths) > room and any(map(gt, widths, least)):
            spare = [place for place, each in enumerate(widths) if each > least[place]]
            widths[max(spare, key=widths.__getitem__)] -= 1
    return widths
