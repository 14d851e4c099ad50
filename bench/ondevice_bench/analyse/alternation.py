"""Whether the rounds of two cells alternated, by the times at which their processes began.

A process that `--retry` repeats is measured later than the processes of its round. So a drift of
the machine in between looks like a difference between cells. The order of the rounds shows it, but
not of the last round on a board, or of the only one. So the time between the processes of the
last round has a limit, too.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import chain, pairwise
from statistics import median

from ondevice_bench.units import by_time, instant

Origin = tuple[int, str]  # a round, and the unit of the board that measured it
Begun = Mapping[Origin, str]  # when each process of a pass over a cell began
# The two processes of the last round may be this far apart. If rounds take long, the limit is this
# many times as long as they usually are.
_SITTING, _TIMES = 3600.0, 4.0  # seconds
_NEAR = 8  # cells on each side that are looked at: a run may have thousands


def alternated(one: Begun, other: Begun) -> bool:
    """Whether all processes of a round began before those of the next round, on each board.

    A run that was interrupted and goes on keeps this order. After the last round of a board there
    is no other one, so its processes must have begun about the same time. What has no time is left
    out.
    """
    by_unit: dict[str, dict[int, list[datetime]]] = defaultdict(lambda: defaultdict(list))
    for (number, unit), text in chain(one.items(), other.items()):
        if (moment := instant(text)) is not None:
            by_unit[unit][number].append(moment)
    boards = [sorted(rounds.values(), key=min) for rounds in by_unit.values()]
    return _ended_together(boards) and all(
        max(earlier) <= min(later) for rounds in boards for earlier, later in pairwise(rounds)
    )


def _ended_together(boards: Sequence[Sequence[Sequence[datetime]]]) -> bool:
    """Whether the processes of the last round on each board began about the same time.

    The rounds before it show how long rounds usually are.
    """
    usual = [_seconds(each) for rounds in boards for each in rounds[:-1] if len(each) > 1]
    limit = max(_SITTING, _TIMES * median(usual)) if usual else _SITTING
    return all(_seconds(rounds[-1]) <= limit for rounds in boards)


def _seconds(moments: Sequence[datetime]) -> float:
    """The time between the first and the last of them."""
    return (max(moments) - min(moments)).total_seconds()


def apart(cells: Mapping[str, Begun]) -> frozenset[str]:
    """The cells that alternated with none of those begun about when they were, and ended later.

    The one that ended earlier was measured in turn, with processes that were repeated since.
    """
    times = {name: [by_time(text) for text in begun.values()] for name, begun in cells.items()}
    ordered = sorted((name for name in cells if len(times[name]) > 1), key=lambda n: min(times[n]))
    found = set()
    for place, name in enumerate(ordered):
        near = ordered[max(0, place - _NEAR) : place] + ordered[place + 1 : place + 1 + _NEAR]
        others = [each for each in near if cells[name].keys() & cells[each].keys()]
        ends_later = any(max(times[name]) > max(times[each]) for each in others)
        if ends_later and not any(alternated(cells[name], cells[each]) for each in others):
            found.add(name)
    return frozenset(found)
