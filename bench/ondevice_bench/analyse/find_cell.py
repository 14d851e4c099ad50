"""Finds the cell of a run that a user's words mean."""

from ondevice_bench.analyse.summary import CellSummary, RunSummary
from ondevice_bench.errors import BadInput, unknown

LISTED = 5


def find_cell(summary: RunSummary, text: str) -> CellSummary:
    """The cell with this id, or the only cell whose id has all these words."""
    cells = {cell.id: cell for cell in summary.cells}
    if text in cells:
        return cells[text]
    words = text.lower().split()
    matches = [name for name in cells if all(word in name.lower() for word in words)]
    if not matches:
        raise BadInput(f"{summary.run.id}: {unknown('cell', text, cells)}")
    if len(matches) > 1:
        listing = ", ".join(matches[:LISTED]) + " …" * (len(matches) > LISTED)
        raise BadInput(f"{summary.run.id}: {len(matches)} cells match {text!r}: {listing}")
    return cells[matches[0]]
