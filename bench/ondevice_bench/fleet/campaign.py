"""One run of the fleet: a suite on the boards of one profile, what is stored and what is left."""

import contextlib
from collections import deque
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from ondevice_bench.data.batch import BatchStore
from ondevice_bench.errors import NothingRan
from ondevice_bench.fleet.lane import Work
from ondevice_bench.fleet.portion import Portion, Rest, portions, rest
from ondevice_bench.passes import CALIBRATE, FAMILY, LEARNING_RATE
from ondevice_bench.record.details import Details
from ondevice_bench.record.model import Record, Run, Status, TaskKey
from ondevice_bench.record.store import FILE_NAME, Store
from ondevice_bench.running.hosts.host import Host
from ondevice_bench.running.measurer import Earlier, Measurer, now
from ondevice_bench.running.progress import Progress
from ondevice_bench.running.queries.jobs import JobMaker
from ondevice_bench.running.request import Request
from ondevice_bench.running.resume import find_or_add_run
from ondevice_bench.running.schedule import Forecast, TimeLeft, left_to_do
from ondevice_bench.running.session import software_of, tasks_of, why_nothing
from ondevice_bench.running.work_folder import work_folder
from ondevice_bench.running.workspace import locked
from ondevice_bench.suite.passes import passes_of

MOST_ATTEMPTS = 5  # of one portion; attempts on a board that was too hot do not count


@dataclass
class Waiting:
    """A portion that is not done."""

    portion: Portion
    repeat: frozenset[TaskKey] = frozenset()  # tasks whose record is to be replaced
    attempts: int = 0
    refused: dict[str, str] = field(default_factory=dict)  # boards that were too hot, and why
    failed_on: set[str] = field(default_factory=set)  # boards whose connection failed during it
    without_record: int = 0  # attempts in a row that brought no record


class Campaign:
    """A run in a store of this desk. Only the thread that opened it may use it."""

    def __init__(self, request: Request, run: Run, store: Store, batches: Path) -> None:
        self.request = request
        self.run = run
        self.store = store
        self._batches = BatchStore(batches)
        self._jobs: dict[str, JobMaker] = {}  # by unit: each knows which files it has read
        self._cells = {item.cell.id: item.cell for item in request.planned}
        tasks = tasks_of(request, run)
        self._measured = store.units(run.id)  # the unit behind each record
        left = left_to_do(tasks, store.statuses(run.id), request.retry)
        self._repeat = frozenset(task for task in left if task in self._measured)
        self._left = set(left)
        whole = portions(tasks, self._cells)
        mixed = frozenset(task for each in whole if self._is_mixed(each) for task in each.tasks)
        self._left |= mixed
        self._forecast = Forecast(lasting=request.suite.lasting)
        self.size = len(tasks)
        self.waiting = deque(
            Waiting(portion, (self._repeat | mixed) & set(portion.tasks))
            for portion in whole
            if self._left & set(portion.tasks)
        )
        self._unfinished = {each.portion.name for each in self.waiting}

    @property
    def profile(self) -> str:
        """The profile of the boards that measure the run."""
        return self.run.profile

    @property
    def left(self) -> int:
        """The number of processes that are still to run."""
        return len(self._left)

    def is_ready(self, waiting: Waiting) -> bool:
        """Whether the ranks that the portion needs have been chosen."""
        return waiting.portion.after not in self._unfinished

    def rest(self, waiting: Waiting, alive: Collection[str]) -> Rest:
        """What is left of the portion, for boards with these units.

        If a board starts it again, every task is measured again: no record of another board stays.
        """
        found = rest(waiting.portion, self._measured, alive, waiting.repeat & self._left)
        waiting.repeat |= frozenset(task for task in found.tasks if task in self._measured)
        self._left |= set(found.tasks)
        return found

    def _is_mixed(self, portion: Portion) -> bool:
        """Whether the portion has records of two boards: the command was killed between them."""
        stay = (task for task in portion.tasks if task not in self._repeat)
        return len({self._measured[task] for task in stay if self._measured.get(task)}) > 1

    def work(self, ticket: str, portion: Portion, tasks: tuple[TaskKey, ...]) -> Work:
        """The work of these tasks, with the ranks that are stored already."""
        known: dict[TaskKey, tuple[str, str, Details]] = {}
        for cell in dict.fromkeys(task.cell for task in tasks):
            for name in (CALIBRATE, LEARNING_RATE):
                key = TaskKey(cell, name, 1)
                is_earlier = key in self._measured and key not in tasks
                if is_earlier and (found := self.store.outcome(self.run.id, key)):
                    known[key] = found
        return Work(ticket, portion.round, tasks, self._measurer, known)

    def add(self, record: Record) -> None:
        """Store a record."""
        self.store.add_record(record)
        self._forecast.learn(record.key, record.seconds)
        self._measured[record.key] = str(record.details.get("unit", ""))
        self._left.discard(record.key)

    def end(self, waiting: Waiting) -> None:
        """Note that the portion is done."""
        self._unfinished.discard(waiting.portion.name)
        if not self._unfinished:
            self.store.finish_run(self.run.id, now())

    def end_all(self) -> None:
        """Note that the run is done, if nothing is left: an earlier command may have died."""
        if not self._left and self.store.run(self.run.id).finished is None:
            self.store.finish_run(self.run.id, now())

    def give_up(self, waiting: Waiting, status: Status, reason: str) -> None:
        """Store the reason for everything that is left of the portion."""
        for task in waiting.portion.tasks:
            if task in self._left and task in self._measured and task not in self._repeat:
                self._left.discard(task)  # a board that is lost now has measured it
            elif task in self._left:
                self.add(Record(self.run.id, task, status, reason, "none", now(), 0.0))
        self.end(waiting)

    def time_left(self, boards: int) -> TimeLeft | None:
        """The time that this number of boards needs; None if it is unknown."""
        found = self._forecast.left(tuple(self._left))
        return None if found is None else replace(found, seconds=found.seconds / boards)

    def family(self) -> dict[str, tuple[float | None, ...]]:
        """The step time of the shared cell in each process, by unit; None if the process failed."""
        found: dict[str, list[float | None]] = {}
        for key, unit in self._measured.items():
            if key.pass_name == FAMILY:
                seconds = self.store.metric(self.run.id, key, "family_step_seconds")
                found.setdefault(unit, []).append(seconds if seconds and seconds > 0 else None)
        return {unit: tuple(each) for unit, each in found.items()}

    def shared_tasks(self) -> Iterator[TaskKey]:
        """A task for each further process that shows whether its board is like the others.

        Every board measures the same cell: one without ranks to choose, if there is any.
        """
        simple = (
            name for name, cell in self._cells.items() if CALIBRATE not in passes_of(cell, ())
        )
        cell = next(simple, next(iter(self._cells), None))
        rounds = [key.round for key in self._measured if key.pass_name == FAMILY]
        while cell is not None:
            rounds.append(max(rounds, default=0) + 1)
            yield TaskKey(cell, FAMILY, rounds[-1])

    def _measurer(self, host: Host, earlier: Earlier) -> Measurer:
        suite = self.request.suite
        if host.unit not in self._jobs:  # a board has one thread
            self._jobs[host.unit] = JobMaker(
                host,
                self._batches,
                suite.sampling,
                suite.data,
                suite.weight_sources,
                sustain=suite.sustain,
            )
        return Measurer(self.run.id, suite, self._cells, host, self._jobs[host.unit], earlier)


@contextlib.contextmanager
def opened(
    requests: Sequence[Request], out: Path, progress: Progress
) -> Iterator[tuple[Campaign, ...]]:
    """The runs of one suite, one for each profile, in the store of this folder.

    With `retry`, only the runs that have something to repeat.
    """
    measured = [each for each in requests if each.planned]
    if not measured:
        raise NothingRan(why_nothing(requests[0]))
    path = out / FILE_NAME
    if path.exists() and path.stat().st_size:
        Store.open(path).close()
    elif requests[0].retry:
        yield ()
        return
    with contextlib.ExitStack() as stack:
        software = [software_of(each.host) for each in measured]
        stack.enter_context(locked(out))
        store = stack.enter_context(Store.create(path))
        batches = stack.enter_context(work_folder("batches", out))
        found = []
        for each, has in zip(measured, software, strict=True):
            with contextlib.suppress(NothingRan):  # nothing to repeat for this profile
                run = find_or_add_run(store, each, has, progress)
                found.append(Campaign(each, run, store, batches))
        yield tuple(found)
