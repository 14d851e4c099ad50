"""Decides which old runs of a store may be removed. Pure: it reads runs and the user's rule."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from ondevice_bench.record.model import Run
from ondevice_bench.units import by_time, instant

MAY_STILL_RUN = timedelta(days=7)


@dataclass(frozen=True)
class KeepRule:
    """How many runs of each suite on each board stay, and which runs stay in any case.

    `last` is the number of newest runs. `weekly` is a number of weeks: in each of the latest weeks
    with runs, the newest run stays. `needed` has the ids of runs that something else reads. With
    `in_use`, a process measures into the folder of the store now.
    """

    last: int = 0
    weekly: int = 0
    needed: frozenset[str] = frozenset()
    in_use: bool = False


def removable(added: Sequence[Run], rule: KeepRule, now: datetime) -> list[Run]:
    """The runs that the rule does not keep. `added` has all runs in the order of storage.

    The newest run of a suite on a board always stays. So do the latest run of each suite and kind,
    runs that may not have ended yet, and runs that are needed. A process that measures may have
    continued any unfinished run.
    """
    kept = set(rule.needed)
    # a fleet continues the latest run of each profile
    kept |= {
        run.id for run in {(run.suite, run.origin, run.profile): run for run in added}.values()
    }
    unfinished = (run for run in added if run.finished is None)
    kept |= {run.id for run in unfinished if rule.in_use or _began_lately(run, now)}
    for runs in _by_board(added):
        newest_first = sorted(runs, key=lambda run: (by_time(run.created), run.id), reverse=True)
        kept |= {run.id for run in newest_first[: max(1, rule.last)]}
        kept |= _newest_of_weeks(newest_first, rule.weekly)
    return [run for run in added if run.id not in kept]


def _by_board(runs: Sequence[Run]) -> Collection[list[Run]]:
    """The runs of each suite on each board. Boards of one profile differ in their unit."""
    boards: dict[tuple[str, str, str], list[Run]] = {}
    for run in runs:
        board = (run.suite, run.profile, run.unit)
        boards.setdefault(board, []).append(run)
    return boards.values()


def _newest_of_weeks(newest_first: Sequence[Run], weeks: int) -> set[str]:
    newest: dict[object, str] = {}
    for run in newest_first:
        newest.setdefault(_week(run), run.id)
    return set(list(newest.values())[:weeks])


def _week(run: Run) -> object:
    """The week of a run, in UTC."""
    moment = instant(run.created)
    return run.created if moment is None else moment.isocalendar()[:2]


def _began_lately(run: Run, now: datetime) -> bool:
    moment = instant(run.created)
    return moment is None or now - moment < MAY_STILL_RUN
