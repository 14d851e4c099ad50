"""A run: its plan goes into the store first, then each process's record the moment it exists."""

import contextlib
import fcntl
import os
import shutil
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from math import inf
from pathlib import Path
from typing import Any

import ondevice_bench
from ondevice_bench.data.batch import BatchStore, NoBatch
from ondevice_bench.errors import BadInput, BenchError, ExitCode, NothingRan
from ondevice_bench.hardware.state import read_state
from ondevice_bench.protocol.job import RankNumbers, Reply
from ondevice_bench.protocol.lockstep import Turns
from ondevice_bench.record.model import Record, Run, TaskKey, status_of
from ondevice_bench.record.store import FILE_NAME, Store
from ondevice_bench.run.budget import Budget
from ondevice_bench.run.hosts.launch import (
    OURS,
    SPAWNED_PASSES,
    Interpreter,
    Outcome,
    PassLauncher,
    SpawnLauncher,
    ZygoteEnded,
    ZygoteLauncher,
    worker_environment,
)
from ondevice_bench.run.progress import Progress
from ondevice_bench.run.queries.jobs import JobMaker
from ondevice_bench.run.queries.preview import vanilla_steps
from ondevice_bench.run.request import Request
from ondevice_bench.run.schedule import Forecast, left_to_do, schedule
from ondevice_bench.suite.cell import Cell
from ondevice_bench.suite.passes import CALIBRATE, PILOT, passes_of
from ondevice_bench.suite.planned_cell import PlannedCell
from ondevice_bench.suite.preview import Outline

NOT_OK = frozenset({"failed", "timeout", "oom"})
_UNLIKE = {"definition": "plan or settings"}


class Interrupted(BenchError):
    """The user stopped the run."""

    exit_code = ExitCode.INTERRUPTED


@dataclass(frozen=True)
class Asked:
    """A task with all that it needs; `launch` touches no store, so any thread may call it."""

    task: TaskKey
    started: str
    before: Mapping[str, Any]
    launch: Callable[[Callable[[], None]], Outcome]


class Session:
    """An open run that measures one task at a time."""

    def __init__(
        self, request: Request, run: Run, store: Store, launcher: PassLauncher, jobs: JobMaker
    ) -> None:
        self.run = run
        self.store = store
        self._request = request
        self._launcher = launcher
        self._jobs = jobs
        self._cells = {item.cell.id: item.cell for item in _planned(request)}
        self._round: int | None = None

    def cell(self, name: str) -> Cell:
        """A cell of the run by its id."""
        return self._cells[name]

    def tasks(self) -> tuple[TaskKey, ...]:
        """Every process of the run, in its order."""
        suite = self._request.suite
        measure = suite.measure if self._request.budget is None else (PILOT, *suite.measure)
        passes = {name: passes_of(cell.method, measure) for name, cell in self._cells.items()}
        return schedule(passes, suite.rounds, seed=self.run.definition)

    def left(self) -> tuple[TaskKey, ...]:
        """What has no record yet, or one that is to be repeated."""
        return left_to_do(self.tasks(), self.store.statuses(self.run.id), self._request.retry)

    def renew(self) -> None:
        """Fork the next workers from a fresh process."""
        self._launcher.renew()

    def outlined(self) -> tuple[Outline, ...]:
        """The vanilla cells not yet begun, with what their steps need; from shapes alone."""
        begun = {task.cell for task in self.store.statuses(self.run.id)}
        plan = [
            item
            for item in _planned(self._request)
            if item.cell.method == "vanilla" and item.cell.id not in begun
        ]
        steps = vanilla_steps(plan, self._request.suite, self._launcher)
        return tuple(Outline(item, steps[item.cell.id], None) for item in plan)

    def perform(
        self,
        task: TaskKey,
        tick: Callable[[], None] = lambda: None,
        sampling_seconds: float = inf,
    ) -> Record:
        """Measure one task and store its record; a time pass may sample no longer than said."""
        if task.pass_name not in SPAWNED_PASSES:
            if self._round not in (None, task.round):
                self.renew()  # no two rounds of a cell from one process
            self._round = task.round
        asked = self.ask(task, sampling_seconds)
        return self.keep(asked, asked.launch(tick))

    def ask(
        self, task: TaskKey, sampling_seconds: float = inf, turns: Turns | None = None
    ) -> Asked:
        """All that a task needs; with `turns` it steps in turn with another."""
        started, before = _now(), read_state().to_json()
        cell, ranks, why_not = self._cells[task.cell], None, ""
        if task.pass_name != CALIBRATE and CALIBRATE in passes_of(cell.method, ()):
            ranks, why_not = self._ranks(task.cell)
        if why_not:
            skipped = Outcome(Reply("skipped", reason=why_not), "none", 0.0)
            return Asked(task, started, before, lambda _: skipped)
        try:
            job = self._jobs.job(cell, task.pass_name, ranks)
        except NoBatch as error:
            failed = Outcome(Reply("failed", reason=str(error)), "none", 0.0)
            return Asked(task, started, before, lambda _: failed)
        longest = min(job.sampling.max_seconds, sampling_seconds)
        job = replace(job, sampling=replace(job.sampling, max_seconds=longest), turns=turns)
        timeout = self._request.suite.timeout
        return Asked(task, started, before, lambda tick: self._launcher.launch(job, timeout, tick))

    def keep(self, asked: Asked, outcome: Outcome) -> Record:
        """Store what became of it."""
        reply = outcome.reply
        printed = "\n".join(part for part in (outcome.output, reply.traceback) if part)
        record = Record(
            run=self.run.id,
            key=asked.task,
            status=status_of(reply.status),
            reason=reply.reason,
            launch=outcome.launch,
            started=asked.started,
            seconds=outcome.seconds,
            metrics=reply.findings.metrics,
            samples=reply.findings.samples,
            unavailable=reply.findings.unavailable,
            details=reply.findings.details,
            state_before=asked.before,
            state_after=read_state().to_json(),
            output="" if reply.status == "ok" else printed,
        )
        self.store.add_record(record)
        return record

    def _ranks(self, cell: str) -> tuple[Mapping[str, RankNumbers] | None, str]:
        """What the cell's calibrate pass found, or why there are no ranks."""
        found = self.store.outcome(self.run.id, TaskKey(cell, CALIBRATE, 1))
        if found is None:
            return None, "its ranks were not calibrated"
        status, reason, details = found
        if status == "skipped":
            return None, reason
        return (details.ranks, "") if status == "ok" else (None, f"no ranks: {reason}")

    def perform_all(self, progress: Progress) -> None:
        """Measure everything that is left."""
        forecast = Forecast()
        for record in self.store.records(self.run.id):
            forecast.learn(record.key, record.seconds)
        budget, fewest = self._budget(), self._request.suite.sampling.min_samples
        left = budget.ordered(self.left())
        cells, processes = len(self._cells), len(self.tasks())
        while left := budget.affordable(left, now := time.monotonic()):
            task = left[0]
            done = cells - len({waiting.cell for waiting in left})
            share = f"{done} of {cells} cells, {processes - len(left)} of {processes} measurements"
            progress.begin(task, share, forecast.left(left, budget.end - now))
            record = self.perform(task, progress.tick, budget.sampling_seconds(left, now))
            if record.status != "ok":
                progress.note(f"{record.status}: {task.cell} · {task.pass_name}: {record.reason}")
            forecast.learn(task, record.seconds)
            budget.learn(task, record.seconds, _sampled(record, fewest))
            left = left[1:]
        if not self.left():
            self.finish()

    def _budget(self) -> Budget:
        """What the run may spend from now on, with what its records tell already."""
        seconds = self._request.budget
        budget = Budget() if seconds is None else Budget(time.monotonic() + seconds)
        fewest = self._request.suite.sampling.min_samples
        for record in self.store.records(self.run.id):
            budget.learn(record.key, record.seconds, _sampled(record, fewest))
        return budget

    def finish(self) -> None:
        """Note that the whole plan has its records."""
        self.store.finish_run(self.run.id, _now())


@contextlib.contextmanager
def open_session(
    request: Request, out: Path, progress: Progress, within: Interpreter = OURS
) -> Iterator[Session]:
    """A run in `out`, new or gone on with; workers, batches and lock live as long as this."""
    if not _planned(request):
        raise NothingRan(_why_nothing(request))
    environment = worker_environment(request.threads, within.sources)
    if (out / FILE_NAME).exists():
        Store.open(out / FILE_NAME).close()  # what is no store is refused before anything starts
    with contextlib.ExitStack() as stack:
        zygote = stack.enter_context(ZygoteLauncher(environment, within.program))
        software = _software(zygote)
        stack.enter_context(_locked(out))
        is_new = not (out / FILE_NAME).exists()
        store = stack.enter_context(Store.create(out / FILE_NAME))
        batches = stack.enter_context(_batch_folder(out))
        try:
            run = _find_or_add_run(store, request, software, progress)
        except BenchError:
            if is_new:
                store.remove()
            raise
        launcher = PassLauncher(SpawnLauncher(environment, within.program), zygote)
        jobs = JobMaker(
            BatchStore(batches),
            request.suite.sampling,
            request.suite.data,
            request.suite.weight_sources,
            cpus=request.cpus,
            memory_cap=request.cap,
            within=within,
        )
        session = Session(request, run, store, launcher, jobs)
        try:
            yield session
        except KeyboardInterrupt:
            signal.signal(signal.SIGINT, signal.SIG_IGN)  # what follows only cleans up
            left, whole = len(session.left()), len(session.tasks())
            raise Interrupted(
                f"interrupted: {whole - left} of {whole} measurements are stored in {store.path}; "
                f"`{request.command}` goes on from there"
            ) from None


def _sampled(record: Record, fewest: int) -> float:
    """Seconds of a time pass that samples beyond the fewest took."""
    found = (record.samples.get(name, []) for name in ("step_seconds", "inference_seconds"))
    return sum(sum(samples) * max(0.0, 1 - fewest / len(samples)) for samples in found if samples)


def _planned(request: Request) -> list[PlannedCell]:
    return [item for item in request.plan if item.state == "planned"]


def _why_nothing(request: Request) -> str:
    reasons: dict[str, int] = {}
    for item in request.plan:
        reasons[item.reason] = reasons.get(item.reason, 0) + 1
    said = "; ".join(f"{count} × {reason}" for reason, count in reasons.items())
    return f"{request.suite.path}: nothing to measure on {request.profile.name}: {said}"


def _software(zygote: ZygoteLauncher) -> dict[str, Any]:
    try:
        software = dict(zygote.hello["software"])
    except ZygoteEnded as error:
        raise BadInput(f"a worker cannot start: {error}") from None
    preload = os.environ.get("LD_PRELOAD")
    preloaded = {"preload": preload} if preload else {}
    return {"bench": ondevice_bench.__version__, **software, **preloaded}


def _find_or_add_run(
    store: Store, request: Request, software: Mapping[str, Any], progress: Progress
) -> Run:
    now = datetime.now(UTC)
    run = Run(
        id=_free_id(store, f"{request.suite.name}-{now:%Y%m%dT%H%M%SZ}-{request.commit}"),
        suite=request.suite.name,
        suite_text=request.suite.text,
        title=request.suite.title,
        definition=request.definition,
        origin=request.origin,
        created=now.isoformat(timespec="seconds"),
        commit=request.commit,
        profile=request.profile.name,
        profile_text=request.profile.text,
        machine={**request.machine.to_json(), "threads": request.threads},
        software=software,
        settings={
            **request.settings,
            "goal": request.suite.goal.to_json(),
            "peaks": request.profile.peaks,
            "budget_seconds": request.budget,
            "emulated": request.profile.said.emulated,
            "interleaved": request.interleaved,
            "doctor": [item.to_json() for item in request.findings],
        },
        command=request.command,
    )
    earlier = None if request.fresh else _to_go_on_with(store, run, request.retry, progress)
    if earlier is not None:
        progress.note(f"going on with {earlier.id}")
        return earlier
    if request.retry:
        raise NothingRan(
            f"{store.path}: nothing failed, timed out or ran out of memory in the latest run"
        )
    store.add_run(run, request.plan)
    return run


def _to_go_on_with(store: Store, new: Run, retry: frozenset[str], progress: Progress) -> Run | None:
    """The latest run of the kind, if it is like the new one in everything that matters."""
    runs = [run for run in store.runs() if (run.suite, run.origin) == (new.suite, new.origin)]
    if not runs or new.origin != "run":
        return None
    latest = runs[-1]
    unlike = [
        name
        for name in ("definition", "profile", "machine", "software", "commit")
        if getattr(latest, name) != getattr(new, name)
    ]
    if not unlike:
        wanted = retry & set(store.statuses(latest.id).values())
        return latest if latest.finished is None or wanted else None
    if latest.finished is None:
        said = ", ".join(_UNLIKE.get(name, name) for name in unlike)
        progress.note(f"{latest.id} stays unfinished: this run has another {said}")
    return None


def _free_id(store: Store, name: str) -> str:
    taken = {run.id for run in store.runs()}
    candidates = (name if n == 1 else f"{name}-{n}" for n in range(1, len(taken) + 2))
    return next(candidate for candidate in candidates if candidate not in taken)


@contextlib.contextmanager
def _locked(out: Path) -> Iterator[None]:
    """One run at a time in a folder: two would disturb each other's measurements."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        lock = (out / ".lock").open("a")
    except OSError as error:
        raise BadInput(f"{out}: cannot be written: {error.strerror}") from None
    with lock as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = (out / ".lock").read_text().strip() or "another process"
            raise BadInput(f"{out}: {holder} is measuring into this folder") from None
        file.truncate(0)
        file.write(f"bench (process {os.getpid()})")
        file.flush()
        yield


@contextlib.contextmanager
def _batch_folder(out: Path) -> Iterator[Path]:
    """A folder for batches; what a killed run left behind goes first."""
    folder = out / "batches"
    shutil.rmtree(folder, ignore_errors=True)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
