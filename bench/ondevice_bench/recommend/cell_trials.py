"""The trials of a race as processes of an ordinary run: each result is a record, never made twice.

A record that the run has already is used as it is. So a race that goes on makes the same choices
as before, and then new ones.
"""

import math
import time
from collections.abc import Callable, Mapping
from statistics import median

from ondevice_bench import metrics
from ondevice_bench.analyse.gradient import MOMENTS, cosine_text, has_exact_updates
from ondevice_bench.passes import CALIBRATE, MEMORY, PILOT, TIME
from ondevice_bench.recommend.candidates import Cause, RuledOut
from ondevice_bench.recommend.question import ACCURACY, FIDELITY, Question, fewest_rounds
from ondevice_bench.recommend.race import OutOfTime
from ondevice_bench.record.model import Record, TaskKey
from ondevice_bench.run.budget import Budget
from ondevice_bench.run.progress import Progress
from ondevice_bench.run.schedule import TimeLeft
from ondevice_bench.run.session import Session
from ondevice_bench.suite.cell import Cell
from ondevice_bench.suite.passes import passes_of

Clock = Callable[[], float]


class CellTrials:
    """Measures candidates in a session until the end; `ruled_out` says who is out, and why."""

    def __init__(
        self,
        session: Session,
        question: Question,
        labels: Mapping[str, str],
        progress: Progress,
        end: float,
        clock: Clock = time.monotonic,
    ) -> None:
        self.ruled_out: dict[str, RuledOut] = {}
        # by candidate; exact methods that train alike share one
        self.accuracies: dict[str, float] = {}
        self.measured = 0  # new records
        self._session = session
        self._question = question
        self._labels = labels
        self._progress = progress
        self._clock = clock
        self._budget = Budget(end)
        self._records = {each.key: each for each in session.store.records(session.run.id)}
        for record in self._records.values():
            self._budget.learn(record.key, record.seconds)

    def pilot(self, name: str) -> float | None:
        """The seconds of the faster of two steps of a candidate; None if it is out."""
        record = self._perform(name, PILOT, 1)
        if record is None:
            return None
        losses = record.details.get("losses", [])
        if any(loss is None or not math.isfinite(loss) for loss in losses):
            self._rule_out(name, "loss", "its loss is not a number after two steps")
            return None
        # the first step warms up, but another process may have disturbed the second
        steps = (record.details[each] for each in ("first_seconds", "step_seconds"))
        return float(min(steps))

    def reading(self, name: str, number: int) -> float | None:
        """The cost of a candidate by one more process; None if it cannot be measured."""
        goal = self._question.goal
        record = self._perform(name, goal.pass_name, number)
        if record is None:
            return None
        samples = record.samples.get(goal.name) or []
        value = median(samples) if samples else record.metrics.get(goal.name)
        if value is None:
            reason = record.unavailable.get(goal.name, "its pass did not give it")
            self._rule_out(name, "unmeasured", f"{goal.noun}: {reason}")
            return None
        return self._question.cost(self._session.cell(name), value)

    def meets_limits(self, name: str) -> bool:
        """Whether the gradient and the accuracy of a candidate are good enough."""
        limits = self._question.limits
        if limits.min_cosine is not None and not self._has_cosine(name, limits.min_cosine):
            return False
        return limits.min_accuracy is None or self._has_accuracy(name, limits.min_accuracy)

    def enters_final(self, name: str) -> bool:
        """Whether a finalist trains under the memory limit; its memory and a step are read."""
        return all(self._perform(name, each, 1) is not None for each in (MEMORY, TIME))

    def confirms(self, name: str) -> bool:
        """Measure the memory of the best as often as an interval needs; whether it fits."""
        rounds = range(1, fewest_rounds(MEMORY) + 1)
        return all(self._perform(name, MEMORY, number) is not None for number in rounds)

    def _has_cosine(self, name: str, least: float) -> bool:
        if has_exact_updates(self._session.cell(name)):
            return True
        record = self._perform(name, FIDELITY, 1)
        if record is None:
            return False
        cosines = [record.metrics[moment] for moment in MOMENTS if moment in record.metrics]
        if not cosines:
            reasons = (record.unavailable.get(moment) for moment in MOMENTS)
            reason = next(filter(None, reasons), "it was not compared")
            self._rule_out(name, "cosine", f"its gradient has no cosine: {reason}")
            return False
        if min(cosines) < least:
            reason = f"cosine {cosine_text(min(cosines))}"
            self._rule_out(name, "cosine", reason, min(cosines))
            return False
        return True

    def _has_accuracy(self, name: str, least: float) -> bool:
        value = self._accuracy(name)
        if value is not None:
            self.accuracies[name] = value
        if value is not None and value < least:
            self._rule_out(name, "accuracy", f"accuracy {value:.3f}", value)
        return name not in self.ruled_out

    def _accuracy(self, name: str) -> float | None:
        """The accuracy after a short training; equal for all exact methods that train alike."""
        for twin in self._exact_twins(name):
            record = self._records.get(TaskKey(twin, metrics.BY_NAME[ACCURACY].pass_name, 1))
            if record is not None and ACCURACY in record.metrics:
                return record.metrics[ACCURACY]
        record = self._perform(name, metrics.BY_NAME[ACCURACY].pass_name, 1)
        if record is None:
            return None
        if ACCURACY not in record.metrics:
            reason = record.unavailable.get(ACCURACY, "its pass did not give it")
            self._rule_out(name, "accuracy", reason)
            return None
        return record.metrics[ACCURACY]

    def _exact_twins(self, name: str) -> list[str]:
        """Other candidates with the same updates: exact methods, with all else equal."""
        cell = self._session.cell(name)
        if not has_exact_updates(cell):
            return []
        return [other for other in self._labels if _trains_as(self._session.cell(other), cell)]

    def _perform(self, name: str, pass_name: str, number: int) -> Record | None:
        """The record of one process, after the ranks that it needs; None if it failed."""
        cell = self._session.cell(name)
        for needed in passes_of(cell, (pass_name,)):
            record = self._record(TaskKey(name, needed, 1 if needed == CALIBRATE else number))
            if record.status != "ok":
                self._failed(name, record)
                return None
        return record

    def _record(self, task: TaskKey) -> Record:
        if task in self._records:
            return self._records[task]
        now = self._clock()
        if not self._budget.affordable([task], now):
            raise OutOfTime
        left = self._budget.end - now
        self._progress.begin(
            f"{self._labels[task.cell]}, {task.pass_name}", "", TimeLeft(left, is_exact=False)
        )
        record = self._session.perform(task, self._progress.tick, left)
        self._budget.learn(task, record.seconds)
        self._records[task] = record
        self.measured += 1
        return record

    def _failed(self, name: str, record: Record) -> None:
        if record.status == "oom" and record.key.pass_name != FIDELITY:
            self._rule_out(name, "memory", _first_words(record.reason))
        elif record.status == "skipped":
            self._rule_out(name, "unsuitable", record.reason)
        else:
            where = record.key.pass_name  # `fidelity` is no step: it holds plain training, too
            self._rule_out(name, "failed", f"{where}: {record.status}: {record.reason}")

    def _rule_out(self, name: str, cause: Cause, reason: str, value: float | None = None) -> None:
        self.ruled_out.setdefault(name, RuledOut(name, cause, reason, value))
        self._progress.note(f"out: {self._labels[name]}: {reason}")


def _trains_as(one: Cell, other: Cell) -> bool:
    return has_exact_updates(one) and (one.of_any_method, one.layers) == (
        other.of_any_method,
        other.layers,
    )


def _first_words(reason: str) -> str:
    return reason.partition(";")[0]
