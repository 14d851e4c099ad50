"""Finds the cell of a run from the words of a user."""

import re
from collections.abc import Collection

from ondevice_bench.analyse.summary import CellSummary, RunSummary
from ondevice_bench.errors import BadInput, suggestion

LISTED = 5


def find_cell(summary: RunSummary, text: str) -> CellSummary:
    """The cell with this id, or the cell whose id fits these words best.

    A whole word fits better than a part of a word: `asi` means `asi`, not `wasi`. If several cells
    fit equally well, measured cells are preferred.
    """
    cells = {cell.id: cell for cell in summary.cells}
    if text in cells:
        return cells[text]
    words = text.lower().replace("ε", "epsilon").split()
    matches = [cell for cell in cells.values() if all(word in cell.id.lower() for word in words)]
    if not matches:
        near = suggestion(text, cells) or _nearest_word(words, cells)
        raise BadInput(f"{summary.run.id}: unknown cell {text!r}{near} (known: {_few(cells)})")
    fits = [(_whole_words(cell, words), bool(cell.estimates)) for cell in matches]
    best = [cell for cell, fit in zip(matches, fits, strict=True) if fit == max(fits)]
    if len(best) > 1:
        listing = _few([cell.id for cell in best])
        raise BadInput(f"{summary.run.id}: {len(best)} cells match {text!r}: {listing}")
    return best[0]


def _nearest_word(words: list[str], ids: Collection[str]) -> str:
    """A word of the ids that is similar to the first word that no id has."""
    known = {part for each in ids for part in re.split(r"[^\w.]+", each.lower()) if part}
    unknown = (word for word in words if not any(word in each.lower() for each in ids))
    return suggestion(next(unknown, ""), sorted(known))


def _few(ids: Collection[str]) -> str:
    """The first ids. A run may have thousands."""
    return ", ".join(list(ids)[:LISTED]) + " …" * (len(ids) > LISTED)


def _whole_words(cell: CellSummary, words: list[str]) -> int:
    return sum(
        re.search(rf"(?<![\w.]){re.escape(word)}(?![\w.])", cell.id.lower()) is not None
        for word in words
    )
