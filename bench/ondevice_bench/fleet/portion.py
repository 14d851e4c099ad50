"""The portion of a run that one board measures: a baseline and its methods in one round. Pure.

So a ratio is always of two numbers of the same board.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from ondevice_bench.passes import CALIBRATE, LEARNING_RATE
from ondevice_bench.record.model import TaskKey
from ondevice_bench.suite.cell import Cell

_CHOOSING = (CALIBRATE, LEARNING_RATE)  # their results are input of every later round


@dataclass(frozen=True)
class Portion:
    """All passes over a workload's cells of one seed in one round."""

    name: str
    round: int
    tasks: tuple[TaskKey, ...]
    after: str = ""  # the portion of the first round, if that chooses ranks for this one


def portions(tasks: Sequence[TaskKey], cells: Mapping[str, Cell]) -> tuple[Portion, ...]:
    """The tasks of a run as portions, in the order of their first tasks."""
    members: dict[tuple[object, int], list[TaskKey]] = {}
    for task in tasks:
        cell = cells[task.cell]
        members.setdefault(((cell.of_any_method, cell.seed), task.round), []).append(task)
    names = {key: f"{found[0].cell} round {key[1]}" for key, found in members.items()}
    choosing = {
        key[0]
        for key, found in members.items()
        if any(task.pass_name in _CHOOSING for task in found)
    }
    return tuple(
        Portion(
            names[group, number],
            number,
            tuple(found),
            names[group, 1] if number > 1 and group in choosing else "",
        )
        for (group, number), found in members.items()
    )


@dataclass(frozen=True)
class Rest:
    """What is left of a portion. If `home` is not empty, only this board may measure it."""

    tasks: tuple[TaskKey, ...]
    home: str = ""


def rest(
    portion: Portion,
    measured: Mapping[TaskKey, str],
    alive: Collection[str],
    repeat: Collection[TaskKey] = (),
) -> Rest:
    """What is left of the portion. `measured` has the unit of the board for each record.

    If this board is lost, or the records are of several boards, the portion starts again.
    """
    missing = tuple(task for task in portion.tasks if task not in measured or task in repeat)
    homes = {measured[task] for task in portion.tasks if task in measured and task not in repeat}
    if not missing or not homes:
        return Rest(missing)
    if len(homes) == 1 and homes <= set(alive):
        return Rest(missing, *homes)
    return Rest(portion.tasks)
