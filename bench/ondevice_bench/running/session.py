"""A run: its plan goes into the store first, then each process's record the moment it exists."""

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping
from math import inf
from pathlib import Path
from typing import Any

import ondevice_bench
from ondevice_bench import passes
from ondevice_bench.data.batch import BatchStore
from ondevice_bench.errors import BadInput, BenchError, ExitCode, NothingRan
from ondevice_bench.passes import PILOT
from ondevice_bench.protocol.turns import Turns
from ondevice_bench.record.command import continuing
from ondevice_bench.record.model import Record, Run, TaskKey
from ondevice_bench.record.store import FILE_NAME, Store
from ondevice_bench.running.budget import Budget
from ondevice_bench.running.hosts.host import Host, HostError, Outcome
from ondevice_bench.running.measurer import Measurer, PreparedTask, now
from ondevice_bench.running.progress import Progress
from ondevice_bench.running.queries.jobs import JobMaker
from ondevice_bench.running.queries.preview import plain_steps
from ondevice_bench.running.request import Request
from ondevice_bench.running.resume import find_or_add_run, nothing_to_retry
from ondevice_bench.running.schedule import Forecast, left_to_do, schedule
from ondevice_bench.running.work_folder import work_folder
from ondevice_bench.running.workspace import locked
from ondevice_bench.specs import registry
from ondevice_bench.suite.cell import Cell
from ondevice_bench.suite.labels import labelled
from ondevice_bench.suite.passes import passes_of
from ondevice_bench.suite.preview import CellPreview


class Interrupted(BenchError):
    """The user stopped the run."""

    exit_code = ExitCode.INTERRUPTED


class Session:
    """An open run that measures one task at a time."""

    def __init__(self, request: Request, run: Run, store: Store, jobs: JobMaker) -> None:
        self.run = run
        self.store = store
        self._request = request
        self._cells = {item.cell.id: item.cell for item in request.planned}
        self._measurer = Measurer(
            run.id,
            request.suite,
            self._cells,
            request.host,
            jobs,
            lambda task: store.outcome(run.id, task),
        )
        self._round: int | None = None

    def cell(self, name: str) -> Cell:
        """A cell of the run by its id."""
        return self._cells[name]

    def tasks(self) -> tuple[TaskKey, ...]:
        """Every process of the run, in its order."""
        return tasks_of(self._request, self.run)

    @property
    def host(self) -> Host:
        """The machine that measures."""
        return self._request.host

    def pending(self) -> tuple[TaskKey, ...]:
        """The tasks that have no record yet, or one that is to be repeated."""
        return left_to_do(self.tasks(), self.store.statuses(self.run.id), self._request.retry)

    def missing(self) -> tuple[TaskKey, ...]:
        """The tasks that have no record yet, whatever is to be repeated."""
        return left_to_do(self.tasks(), self.store.statuses(self.run.id))

    def preview(self) -> tuple[CellPreview, ...]:
        """The vanilla cells that have not begun, with the needs of their steps by shapes alone."""
        begun = {task.cell for task in self.store.statuses(self.run.id)}
        plan = [
            item
            for item in self._request.planned
            if item.cell.method == "vanilla" and item.cell.id not in begun
        ]
        steps = plain_steps(self.host, self._request.suite, plan)
        return tuple(CellPreview(item, steps[item.cell.id], None) for item in plan)

    def perform(
        self,
        task: TaskKey,
        tick: Callable[[], None] = lambda: None,
        sampling_seconds: float = inf,
    ) -> Record:
        """Measure one task and store its record; a time pass may sample so long at most."""
        if not passes.BY_NAME[task.pass_name].is_spawned:
            if self._round not in (None, task.round):
                self.host.renew()  # no two rounds of a cell from one process
            self._round = task.round
        prepared = self.prepare(task, sampling_seconds)
        return self.store_result(prepared, prepared.launch(tick))

    def prepare(
        self, task: TaskKey, sampling_seconds: float = inf, turns: Turns | None = None
    ) -> PreparedTask:
        """Collect all that a task needs; with `turns` it steps in turn with another."""
        self._use_own_code()
        return self._measurer.prepare(task, sampling_seconds, turns)

    def store_result(self, prepared: PreparedTask, outcome: Outcome) -> Record:
        """Store how the task ended. BadInput, after that, if its host is lost meanwhile."""
        after: Mapping[str, Any] = {}
        lost: BadInput | None = None
        try:
            after = self.host.state().to_dict()
        except BadInput as error:  # the task had ended before
            lost = error
        self._use_own_code()
        record = self._measurer.record(prepared, outcome, after)
        self.store.add_record(record)
        if lost is not None:
            raise lost
        return record

    def _use_own_code(self) -> None:
        if self._request.own_code is not None:
            registry.use_own_code(self._request.own_code)

    def perform_all(self, progress: Progress) -> None:
        """Measure everything that is left."""
        forecast = Forecast(lasting=self._request.suite.lasting)
        for record in self.store.records(self.run.id):
            forecast.learn(record.key, record.seconds)
        budget, fewest = self._budget(), self._request.suite.sampling.min_samples
        left = budget.ordered(self.pending())
        names, processes = self._names(), len(self.tasks())
        while left := budget.affordable(left, now := time.monotonic()):
            task = left[0]
            method, workload = names[task.cell]
            share = f"{processes - len(left)}/{processes}"
            progress.begin(
                f"{method}, {task.pass_name}{workload}",
                share,
                forecast.left(left, budget.end - now),
            )
            record = self.perform(task, progress.tick, budget.sampling_seconds(left, now))
            if record.status != "ok":
                progress.note(f"{record.status}: {task.cell} · {task.pass_name}: {record.reason}")
            forecast.learn(task, record.seconds)
            _teach(budget, record, fewest)
            left = left[1:]
        if not self.missing():
            self.finish()

    def _names(self) -> dict[str, tuple[str, str]]:
        """Each cell in few words: its method, and its workload if there are several."""
        groups = labelled(self._cells.values())
        return {
            cell.id: (label, f" · {group.heading}" if len(groups) > 1 else "")
            for group in groups
            for cell, label in zip(group.cells, group.labels, strict=True)
        }

    def _budget(self) -> Budget:
        """What the run may spend from now on, with what its records tell already."""
        seconds = self._request.budget
        suite = self._request.suite
        end = inf if seconds is None else time.monotonic() + seconds
        budget, fewest = Budget(end, suite.lasting), suite.sampling.min_samples
        for record in self.store.records(self.run.id):
            _teach(budget, record, fewest)
        return budget

    def finish(self) -> None:
        """Note that the whole plan has its records."""
        self.store.finish_run(self.run.id, now())


def tasks_of(request: Request, run: Run) -> tuple[TaskKey, ...]:
    """Every process of the run, in its order."""
    suite = request.suite
    measure = suite.measure if request.budget is None else (PILOT, *suite.measure)
    by_cell = {item.cell.id: passes_of(item.cell, measure) for item in request.planned}
    return schedule(by_cell, suite.rounds, seed=run.definition)


@contextlib.contextmanager
def open_session(request: Request, out: Path, progress: Progress) -> Iterator[Session]:
    """Open a run in `out`, a new one or an unfinished one; batches and lock end with it."""
    if not request.planned:
        raise NothingRan(why_nothing(request))
    path = out / FILE_NAME
    if path.exists() and path.stat().st_size:  # an empty file was left by a process that was killed
        Store.open(path).close()  # what is not a store is refused before anything starts
    elif request.retry:
        raise nothing_to_retry(path)
    with contextlib.ExitStack() as stack:
        software = software_of(request.host)
        stack.enter_context(locked(out))
        store = stack.enter_context(Store.create(path))
        batches = stack.enter_context(work_folder("batches", out))
        run = find_or_add_run(store, request, software, progress)
        suite = request.suite
        jobs = JobMaker(
            request.host,
            BatchStore(batches),
            suite.sampling,
            suite.data,
            suite.weight_sources,
            sustain=suite.sustain,
        )
        session = Session(request, run, store, jobs)
        try:
            yield session
        except KeyboardInterrupt:
            left, whole = len(session.missing()), len(session.tasks())
            raise Interrupted(
                f"interrupted: {whole - left} of {whole} measurements are stored in {store.path}; "
                f"`{continuing(request.command)}` continues from there"
            ) from None


def _teach(budget: Budget, record: Record, fewest: int) -> None:
    """Tell the budget what a process took. One that gave up early says nothing about the others."""
    if record.status in ("ok", "timeout"):
        budget.learn(record.key, record.seconds, _sampled(record, fewest))


def _sampled(record: Record, fewest: int) -> float:
    """The seconds that a time pass spent on samples beyond the fewest."""
    columns = (record.samples.get(name, []) for name in ("step_seconds", "inference_seconds"))
    return sum(sum(samples) * max(0.0, 1 - fewest / len(samples)) for samples in columns if samples)


def why_nothing(request: Request) -> str:
    """Why a request has nothing to measure."""
    reasons: dict[str, int] = {}
    for item in request.plan:
        reasons[item.reason] = reasons.get(item.reason, 0) + 1
    listed = "; ".join(f"{count} × {reason}" for reason, count in reasons.items())
    here = request.host.profile.name
    there = dict.fromkeys(item.profile for item in request.plan if item.state == "pending")
    cure = f". Run it on {' or '.join(there)}, or add {here} to `hardware`" if there else ""
    return f"{request.suite.path}: nothing to measure on {here}: {listed}{cure}"


def software_of(host: Host) -> dict[str, Any]:
    """The versions of bench and of the libraries of its workers on a host."""
    try:
        software = host.software()
    except HostError as error:
        raise BadInput(f"a worker cannot start: {error}") from None
    return {"bench": ondevice_bench.__version__, **software}
