"""Which cells of two sides are the same workload, perhaps in two versions of the user's code.

First cells with the same id and key are joined, then cells with the same key, then cells with the
same join key (`suite/code.py`). In each step a cell is joined only if no other cell of its side is
left with this key. What is left is never joined. If both sides still have cells of one join key,
these cells are ambiguous.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from ondevice_bench.suite.cell import Cell
from ondevice_bench.suite.code import CodeChange, changes_between, join_key


@dataclass(frozen=True)
class JoinedCells:
    """The pairs (base, new), in the order of the base, and the cells that have no partner.

    `ambiguous` are those of them that have more than one possible partner.
    """

    pairs: tuple[tuple[Cell, Cell], ...]
    only_in_base: tuple[Cell, ...]
    only_in_new: tuple[Cell, ...]
    ambiguous: tuple[Cell, ...]

    @property
    def code_changes(self) -> tuple[CodeChange, ...]:
        """The files of code that differ within a pair, each once."""
        found = (change for pair in self.pairs for change in changes_between(*pair))
        return tuple(dict.fromkeys(found))


def join(base: Iterable[Cell], new: Iterable[Cell], *, same_code: bool = False) -> JoinedCells:
    """Join the cells of two sides. With `same_code`, no two versions of the code are joined."""
    bases, news = list(base), list(new)
    keys: list[Callable[[Cell], object]] = [lambda cell: (cell.id, cell.key), lambda cell: cell.key]
    if not same_code:
        keys.append(join_key)
    partner: dict[int, Cell] = {}  # by the place of the base
    left, right = list(range(len(bases))), list(range(len(news)))
    for key in keys:
        of_base, of_new = _places(bases, left, key), _places(news, right, key)
        for found, places in of_base.items():
            others = of_new.get(found, [])
            if len(places) == len(others) == 1:
                partner[places[0]] = news[others[0]]
                left.remove(places[0])
                right.remove(others[0])
    last = keys[-1]
    shared = {last(bases[place]) for place in left} & {last(news[place]) for place in right}
    only_in_base = tuple(bases[place] for place in left)
    only_in_new = tuple(news[place] for place in right)
    return JoinedCells(
        tuple((cell, partner[place]) for place, cell in enumerate(bases) if place in partner),
        only_in_base,
        only_in_new,
        tuple(cell for cell in (*only_in_base, *only_in_new) if last(cell) in shared),
    )


def _places(
    cells: Sequence[Cell], places: Iterable[int], key: Callable[[Cell], object]
) -> dict[object, list[int]]:
    found: dict[object, list[int]] = {}
    for place in places:
        found.setdefault(key(cells[place]), []).append(place)
    return found
