"""Measures tasks on one host, one after another: makes a job of a task, and a record of a reply.

It uses no store: a function gives the results of earlier passes.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from math import inf
from typing import Any

from ondevice_bench import metrics, passes
from ondevice_bench.data.batch import NoBatch
from ondevice_bench.errors import BadInput
from ondevice_bench.hardware.state import throttled_between
from ondevice_bench.passes import CALIBRATE, LEARNING, LEARNING_RATE
from ondevice_bench.protocol.job import RankNumbers, Reply
from ondevice_bench.protocol.turns import Turns
from ondevice_bench.record.details import Details
from ondevice_bench.record.model import Record, TaskKey, status_of
from ondevice_bench.record.run_json import check_record
from ondevice_bench.running.hosts.host import Host, Outcome
from ondevice_bench.running.queries.jobs import JobMaker
from ondevice_bench.suite.cell import Cell
from ondevice_bench.suite.labels import PLAIN
from ondevice_bench.suite.passes import passes_of
from ondevice_bench.suite.suite import Suite

_SLOWED = {"seconds", "joules", "watts"}  # the units of what a lower clock changes

# status, reason and details of an earlier task of the run; None if it has no record yet
Earlier = Callable[[TaskKey], tuple[str, str, Details] | None]


@dataclass(frozen=True)
class PreparedTask:
    """A task with everything that it needs. `launch` uses no store, so any thread may call it."""

    task: TaskKey
    started: str
    before: Mapping[str, Any]
    launch: Callable[[Callable[[], None]], Outcome]


class Measurer:
    """Measures the tasks of a run on a host."""

    def __init__(
        self,
        run: str,
        suite: Suite,
        cells: Mapping[str, Cell],
        host: Host,
        jobs: JobMaker,
        earlier: Earlier,
    ) -> None:
        self._run = run
        self._suite = suite
        self._cells = cells
        self._host = host
        self._jobs = jobs
        self._earlier = earlier

    def prepare(
        self, task: TaskKey, sampling_seconds: float = inf, turns: Turns | None = None
    ) -> PreparedTask:
        """Collect what a task needs. With `turns`, it takes its steps in turn with another task."""
        self._require_named_files(task)
        started, before = now(), self._host.state().to_dict()
        cell, ranks, why_not = self._cells[task.cell], None, ""
        if task.pass_name != CALIBRATE and CALIBRATE in passes_of(cell, ()):
            if passes.BY_NAME[task.pass_name].of_board:  # a board is compared by any step
                cell = replace(cell, method=PLAIN, method_options=())
            else:
                ranks, why_not = self._ranks(task.cell)
        if not why_not and task.pass_name == LEARNING:
            cell, why_not = self._with_chosen_rate(cell)
        if why_not:
            skipped = Outcome(Reply("skipped", reason=why_not), "none", 0.0)
            return PreparedTask(task, started, before, lambda _: skipped)
        try:
            job = self._jobs.job(cell, task.pass_name, ranks)
        except NoBatch as error:
            self._jobs.files.require_unchanged_data()
            failed = Outcome(Reply("failed", reason=str(error)), "none", 0.0)
            return PreparedTask(task, started, before, lambda _: failed)
        longest = min(job.sampling.max_seconds, sampling_seconds)
        job = replace(job, sampling=replace(job.sampling, max_seconds=longest), turns=turns)
        timeout = self._suite.timeout_of(task.pass_name)
        return PreparedTask(task, started, before, lambda tick: self._host.run(job, timeout, tick))

    def record(self, prepared: PreparedTask, outcome: Outcome, after: Mapping[str, Any]) -> Record:
        """The record of how the task ended. If no store can hold the reply, the task has failed.

        BadInput if a file of the user's changed meanwhile: the record would have the wrong name.
        """
        self._require_named_files(prepared.task)
        try:
            record = self._record(prepared, outcome, after)
            check_record(record)
        except (ValueError, BadInput) as error:  # the user's code may have written the reply
            reason = f"what the worker replied cannot be stored: {str(error)[:200]}"
            failed = replace(outcome, reply=Reply("failed", reason))
            record = self._record(prepared, failed, after)
        return record

    def _require_named_files(self, task: TaskKey) -> None:
        self._jobs.files.require_unchanged(self._cells[task.cell])
        if passes.BY_NAME[task.pass_name].reads_data:
            self._jobs.files.require_unchanged_data()

    def _record(self, prepared: PreparedTask, outcome: Outcome, after: Mapping[str, Any]) -> Record:
        reply = outcome.reply
        details = {key: each for key, each in reply.result.details.items() if key != "unit"}
        name = prepared.task.pass_name
        notes, more = details.get("notes", []), notes_of_throttling(name, prepared.before, after)
        if reply.status == "ok" and more and isinstance(notes, list):
            details["notes"] = [*notes, *more]
        return Record(
            run=self._run,
            key=prepared.task,
            status=status_of(reply.status),
            reason=reply.reason,
            launch=outcome.launch,
            started=prepared.started,
            seconds=outcome.seconds,
            metrics=reply.result.metrics,
            samples=reply.result.samples,
            unavailable=reply.result.unavailable,
            details=details,  # with the unit, which a worker does not know
            state_before=prepared.before,
            state_after=after,
            output="" if reply.status == "ok" else outcome.printed,
        )

    def _ranks(self, cell: str) -> tuple[Mapping[str, RankNumbers] | None, str]:
        """The ranks from the cell's calibrate pass, or the reason why there are none."""
        outcome = self._earlier(TaskKey(cell, CALIBRATE, 1))
        if outcome is None:
            return None, "its ranks were not calibrated"
        status, reason, details = outcome
        if status == "skipped":
            return None, reason
        return (details.ranks, "") if status == "ok" else (None, f"no ranks: {reason}")

    def _with_chosen_rate(self, cell: Cell) -> tuple[Cell, str]:
        """The cell with the learning rate that its pass chose, or the reason why there is none."""
        if LEARNING_RATE not in passes_of(cell, (LEARNING,)):
            return cell, ""
        outcome = self._earlier(TaskKey(cell.id, LEARNING_RATE, 1))
        if outcome is None:
            return cell, "its learning rate was not chosen"
        status, reason, details = outcome
        if status != "ok":
            return cell, reason if status == "skipped" else f"no learning rate: {reason}"
        if details.chosen_rate is None:
            tried = "; ".join(f"{each.rate:g}: {each.reason}" for each in details.tried_rates)
            return cell, f"no learning rate of the grid trains the network ({tried})"
        return replace(cell, train=replace(cell.train, lr=details.chosen_rate)), ""


def notes_of_throttling(
    pass_name: str, before: Mapping[str, Any], after: Mapping[str, Any]
) -> list[str]:
    """A note if the board reported throttling during a pass that takes times or energy.

    The pass that trains without pause reads it second by second.
    """
    units = {metrics.BY_NAME[metric].unit for metric in metrics.of_pass(pass_name)}
    causes = throttled_between(before, after)
    if passes.BY_NAME[pass_name].lasts or not causes or not units & _SLOWED:
        return []
    return [f"the board reported throttling meanwhile: {', '.join(causes)}"]


def now() -> str:
    """The time of this machine, as records have it."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")
