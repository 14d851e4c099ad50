"""A cell on a hardware profile. A plan lists it, and a run stores it."""

from dataclasses import dataclass
from typing import Literal

from ondevice_bench.suite.cell import Cell

CellState = Literal["planned", "skipped", "pending"]


@dataclass(frozen=True)
class PlannedCell:
    """A cell on a hardware profile, and whether it will be measured there."""

    cell: Cell
    profile: str
    state: CellState = "planned"
    reason: str = ""
