"""Lines that say the same of many cells, as one line with the number of cells."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from ondevice_bench.suite.planned_cell import PlannedCell
from ondevice_bench.units import number_of

# a number with commas between its digits is text: a range of its first digits would be wrong
_NUMBER = re.compile(r"(?<![\w.,-])\d+(?:\.\d+)?(?=[%s;:)]|,(?!\d)|\s|$)")


@dataclass(frozen=True)
class FoldedText:
    """A text of one or more cells."""

    cells: tuple[str, ...]
    text: str

    @property
    def who(self) -> str:
        """The cell's name, or the number of cells."""
        return self.cells[0] if len(self.cells) == 1 else number_of(len(self.cells), "cell")


def fold(texts_of_cells: Iterable[tuple[str, str]]) -> list[FoldedText]:
    """Each text once, with its cells.

    Texts that differ only in their numbers are one text, with the lowest and the highest number.
    """
    by_form: dict[str, list[tuple[str, str]]] = {}
    for name, text in texts_of_cells:
        by_form.setdefault(_NUMBER.sub("#", text), []).append((name, text))
    return [
        FoldedText(
            tuple(dict.fromkeys(name for name, _ in pairs)), _together([text for _, text in pairs])
        )
        for pairs in by_form.values()
    ]


def folded(kind: str, texts_of_cells: Iterable[tuple[str, str]]) -> list[str]:
    """The same as lines."""
    return [f"{kind}: {each.who}: {each.text}" for each in fold(texts_of_cells)]


def unmeasured(items: Iterable[PlannedCell]) -> list[FoldedText]:
    """The cells that are pending on each board, and those that were skipped for each reason."""
    pending: dict[str, list[str]] = {}
    skipped: dict[tuple[str, str], None] = {}  # a cell is skipped on each board: count it once
    for item in items:
        if item.state == "pending":
            pending.setdefault(item.profile, []).append(item.cell.id)
        elif item.state == "skipped":
            skipped[item.cell.id, item.reason] = None
    reasons = [replace(each, text=f"skipped: {each.who}: {each.text}") for each in fold(skipped)]
    boards = [
        FoldedText(
            tuple(cells),
            f"pending on {board}: {number_of(len(cells), 'cell')}: run this suite there",
        )
        for board, cells in pending.items()
    ]
    return [*reasons, *boards]


def unmeasured_lines(items: Iterable[PlannedCell]) -> list[str]:
    """The same as lines."""
    return [each.text for each in unmeasured(items)]


def _together(texts: Sequence[str]) -> str:
    columns = zip(*(_NUMBER.findall(text) for text in texts), strict=True)
    ranges = iter([_range(column) for column in columns])
    return _NUMBER.sub(lambda _: next(ranges), texts[0])


def _range(numbers: Sequence[str]) -> str:
    low, high = min(numbers, key=float), max(numbers, key=float)
    return low if float(low) == float(high) else f"{low} … {high}"
