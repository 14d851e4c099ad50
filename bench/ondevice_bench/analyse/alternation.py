"""Whether the rounds of two cells alternated, by the times at which their processes began.

A process that `--retry` repeats is measured later than the processes of its round. So a drift of
the machine in between looks like a difference between cells.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import datetime
from itertools import chain, pairwise

from ondevice_bench.units import by_time, instant

Origin = tuple[int, str]  # a round, and the unit of the board that measured it
Begun = Mapping[Origin, str]  # when each process of a pass over a cell began


def alternated(one: Begun, other: Begun) -> bool:
    """Whether all processes of a round began before those of the next round, on each board.

    A run that was interrupted and goes on keeps this order. What has no time is left out.
    """
    by_unit: dict[str, dict[int, list[datetime]]] = defaultdict(lambda: defaultdict(list))
    for (number, unit), text in chain(one.items(), other.items()):
        if (moment := instant(text)) is not None:
            by_unit[unit][number].append(moment)
    return all(
        max(earlier) <= min(later)
        for rounds in by_unit.values()
        for earlier, later in pairwise(sorted(rounds.values(), key=min))
    )


def is_apart(cell: Begun, others: Iterable[Begun]) -> bool:
    """Whether a cell alternated with none of the others that have its rounds, and ended later.

    The one that ended earlier was measured in turn, with processes that were repeated since.
    """
    found = False
    for other in others:
        if other is not cell and len(cell.keys() & other.keys()) > 1:
            if alternated(cell, other):
                return False
            found = found or _end(cell) > _end(other)
    return found


def _end(cell: Begun) -> datetime:
    return max(map(by_time, cell.values()))
