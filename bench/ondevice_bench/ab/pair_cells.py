"""Which cells of two refs are the same workload."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from ondevice_bench.suite.cell import Cell
from ondevice_bench.suite.code import name_without_versions
from ondevice_bench.suite.join import JoinedCells, join


@dataclass(frozen=True)
class PairedCells:
    """The ids of each pair (base, new) by a common name, and how they were joined."""

    pairs: Mapping[str, tuple[str, str]]
    joined: JoinedCells

    @property
    def only_in(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """The cells that only the base has, and those that only the new side has."""
        sides = (self.joined.only_in_base, self.joined.only_in_new)
        base, new = (tuple(name_without_versions(cell) for cell in side) for side in sides)
        return base, new

    @property
    def unpaired(self) -> tuple[str, ...]:
        """The cells that one side lacks."""
        return (*self.only_in[0], *self.only_in[1])


def pair_cells(base: Iterable[Cell], new: Iterable[Cell]) -> PairedCells:
    """Pair the cells of both sides. A version of the user's code makes no difference."""
    joined = join(base, new)
    names = {cell.id: name_without_versions(cell) for cell, _ in joined.pairs}
    twice = len(set(names.values())) < len(names)
    return PairedCells(
        {cell.id if twice else names[cell.id]: (cell.id, new.id) for cell, new in joined.pairs},
        joined,
    )
