"""Which process comes when: seeded, interleaved round by round. Pure."""

import random
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from math import inf

from ondevice_bench.passes import CALIBRATE, LEARNING, LEARNING_RATE, rounds_of
from ondevice_bench.record.model import TaskKey


def schedule(
    cells: Mapping[str, Sequence[str]], rounds: Mapping[str, int], seed: str
) -> tuple[TaskKey, ...]:
    """Every process of a run over cells with their passes: each round takes all of them, shuffled.

    Drift of the machine then hits all cells alike, instead of those that come last.
    """
    order = random.Random(seed)
    tasks: list[TaskKey] = []
    for number in range(1, max(rounds.values()) + 1):
        shuffled = list(cells)
        order.shuffle(shuffled)
        tasks += [
            TaskKey(cell, name, number)
            for cell in shuffled
            for name in cells[cell]
            if number <= rounds_of(name, rounds)
        ]
    return tuple(tasks)


def left_to_do(
    tasks: Sequence[TaskKey], statuses: Mapping[TaskKey, str], repeat: Collection[str] = ()
) -> tuple[TaskKey, ...]:
    """The tasks without a record, and those whose record has a status to repeat.

    Where ranks or a learning rate are chosen again, all that would use them is repeated. So is what
    was skipped before they were chosen: `statuses` has the order in which records were stored.
    """
    again = {task for task in tasks if statuses.get(task) in repeat}
    with_ranks = {task.cell for task in again if task.pass_name == CALIBRATE}
    with_rate = {task.cell for task in again if task.pass_name == LEARNING_RATE}
    places = {task: place for place, task in enumerate(statuses)}
    return tuple(
        task
        for task in tasks
        if task not in statuses
        or task in again
        or (statuses[task] == "skipped" and _was_skipped_too_early(task, places))
        or task.cell in with_ranks
        or (task.cell in with_rate and task.pass_name == LEARNING)
    )


def _was_skipped_too_early(task: TaskKey, places: Mapping[TaskKey, int]) -> bool:
    """Whether the ranks or the learning rate that the task uses were chosen after its record."""
    used = (CALIBRATE, LEARNING_RATE) if task.pass_name == LEARNING else (CALIBRATE,)
    return any(places.get(TaskKey(task.cell, name, 1), -1) > places[task] for name in used)


@dataclass(frozen=True)
class TimeLeft:
    """Seconds to go; `is_exact` if every remaining workload was measured before."""

    seconds: float
    is_exact: bool


@dataclass
class Forecast:
    """The time left, from the past processes of this run."""

    # of each kind: the sum and the number. A run has many processes, and asks after each of them
    past: dict[str, tuple[float, int]] = field(default_factory=dict)
    lasting: Mapping[str, float] = field(default_factory=dict)  # seconds that the suite asks for

    def learn(self, task: TaskKey, seconds: float) -> None:
        """Note how long a process took. Its time tells nothing if the suite asked for it."""
        if task.pass_name in self.lasting:
            return
        for kind in self._kinds(task):
            total, count = self.past.get(kind, (0.0, 0))
            self.past[kind] = total + seconds, count + 1

    def left(self, tasks: Sequence[TaskKey], budget: float = inf) -> TimeLeft | None:
        """The sum over the tasks of the mean of their nearest kin, or what is left of the budget.

        None without any kin.
        """
        seconds = 0.0
        is_exact = True
        for task in tasks:
            if task.pass_name in self.lasting:
                seconds += self.lasting[task.pass_name]
                continue
            near, *far = self._kinds(task)
            kin = next((kind for kind in (near, *far) if kind in self.past), None)
            if kin is None:
                return None
            is_exact = is_exact and kin == near
            total, count = self.past[kin]
            seconds += total / count
        return TimeLeft(min(seconds, budget), is_exact)

    @staticmethod
    def _kinds(task: TaskKey) -> tuple[str, ...]:
        """The nearest first: the same workload whatever its seed, the same model, any."""
        workload, _, _ = task.cell.rpartition("/")
        model = task.cell.partition("/")[0]
        name = task.pass_name
        return f"{workload} {name}", f"{model} {name}", name, "any"
