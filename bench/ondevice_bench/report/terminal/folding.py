"""Lines that say the same of many cells, as one line with the number of cells."""

import re
from collections.abc import Iterable, Sequence

from ondevice_bench.suite.planned_cell import PlannedCell
from ondevice_bench.units import number_of

_NUMBER = re.compile(r"(?<![\w.,-])\d+(?:\.\d+)?(?=[%s,;:)]|\s|$)")


def folded(kind: str, texts_of_cells: Iterable[tuple[str, str]]) -> list[str]:
    """A line for each text, with the cell's name or the number of cells.

    Texts that differ only in their numbers are one text, with the lowest and the highest number.
    """
    by_form: dict[str, list[tuple[str, str]]] = {}
    for name, text in texts_of_cells:
        by_form.setdefault(_NUMBER.sub("#", text), []).append((name, text))
    return [
        f"{kind}: {_who([name for name, _ in pairs])}: {_together([text for _, text in pairs])}"
        for pairs in by_form.values()
    ]


def unmeasured_lines(items: Iterable[PlannedCell]) -> list[str]:
    """A line for each board on which cells are pending, and for each reason to skip cells."""
    pending: dict[str, int] = {}
    skipped: dict[tuple[str, str], str] = {}  # a cell is skipped on each board: count it once
    for item in items:
        if item.state == "pending":
            pending[item.profile] = pending.get(item.profile, 0) + 1
        elif item.state == "skipped":
            skipped[item.cell.id, item.reason] = item.reason
    return [
        *folded("skipped", ((name, reason) for (name, _), reason in skipped.items())),
        *(
            f"pending on {board}: {number_of(count, 'cell')}: run this suite there"
            for board, count in pending.items()
        ),
    ]


def _who(names: Sequence[str]) -> str:
    distinct = dict.fromkeys(names)
    return names[0] if len(distinct) == 1 else number_of(len(distinct), "cell")


def _together(texts: Sequence[str]) -> str:
    columns = zip(*(_NUMBER.findall(text) for text in texts), strict=True)
    ranges = iter([_range(column) for column in columns])
    return _NUMBER.sub(lambda _: next(ranges), texts[0])


def _range(numbers: Sequence[str]) -> str:
    low, high = min(numbers, key=float), max(numbers, key=float)
    return low if float(low) == float(high) else f"{low} … {high}"
