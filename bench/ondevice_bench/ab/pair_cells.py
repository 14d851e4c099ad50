"""Which cells of two refs are the same workload."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class PairedCells:
    """The ids of each pair (base, new) by a common name; the names that one side lacks."""

    pairs: Mapping[str, tuple[str, str]]
    unpaired: tuple[str, ...]


def pair_cells(base: Iterable[str], new: Iterable[str]) -> PairedCells:
    """Pair the cell ids of both sides. A hash of the user's code in an id makes no difference."""
    ours, theirs = _by_name(base), _by_name(new)
    return PairedCells(
        {name: (ours[name], theirs[name]) for name in ours if name in theirs},
        tuple(name for name in {**ours, **theirs} if name not in ours or name not in theirs),
    )


def _by_name(ids: Iterable[str]) -> dict[str, str]:
    return {re.sub(r"@[0-9a-f]{8}", "", cell_id): cell_id for cell_id in ids}
