"""Which cells of two refs are the same workload."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from ondevice_bench.suite.cell import Cell
from ondevice_bench.suite.code import name_without_versions
from ondevice_bench.suite.join import JoinedCells, join


@dataclass(frozen=True)
class PairedCells:
    """The ids of each pair (base, new) by a common name; the names that one side lacks."""

    pairs: Mapping[str, tuple[str, str]]
    unpaired: tuple[str, ...]
    joined: JoinedCells


def pair_cells(base: Iterable[Cell], new: Iterable[Cell]) -> PairedCells:
    """Pair the cells of both sides. A version of the user's code makes no difference."""
    joined = join(base, new)
    names = {cell.id: name_without_versions(cell) for cell, _ in joined.pairs}
    twice = len(set(names.values())) < len(names)
    return PairedCells(
        {cell.id if twice else names[cell.id]: (cell.id, new.id) for cell, new in joined.pairs},
        tuple(cell.id for cell in (*joined.only_in_base, *joined.only_in_new)),
        joined,
    )
