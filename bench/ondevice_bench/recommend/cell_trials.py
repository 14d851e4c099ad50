"""The trials of a race as processes of an ordinary run. Each result is a record of that run.

A record that the run already has is used again. So a race that continues makes the same choices
as before, and then new ones.
"""

import math
import time
from collections.abc import Callable, Mapping
from itertools import product
from statistics import median

from ondevice_bench import passes
from ondevice_bench.analyse.gradient import MOMENTS, cosine_text, has_exact_updates
from ondevice_bench.errors import BadInput
from ondevice_bench.metrics.descriptor import METER
from ondevice_bench.passes import (
    CALIBRATE,
    ENERGY,
    LEARNING,
    LEARNING_RATE,
    MEMORY,
    PILOT,
    TIME,
)
from ondevice_bench.recommend.candidates import Cause, RuledOut, of_seed
from ondevice_bench.recommend.question import (
    ACCURACY,
    FIDELITY,
    LOSS,
    STEP_ENERGY,
    TO_TARGET,
    Question,
    fewest_rounds,
)
from ondevice_bench.recommend.race import OutOfTime
from ondevice_bench.recommend.training import (
    accuracy_text,
    highest_test,
    judged,
    least_seconds,
    over_seeds,
)
from ondevice_bench.record.model import Record, TaskKey
from ondevice_bench.running.budget import Budget
from ondevice_bench.running.progress import Progress
from ondevice_bench.running.schedule import TimeLeft
from ondevice_bench.running.session import Session
from ondevice_bench.suite.cell import Cell
from ondevice_bench.suite.labels import with_reason
from ondevice_bench.suite.passes import passes_of

Clock = Callable[[], float]


class CellTrials:
    """Measures candidates in a session until `end`. `ruled_out` has those that are out, and why."""

    def __init__(
        self,
        session: Session,
        question: Question,
        labels: Mapping[str, str],
        progress: Progress,
        end: float,
        clock: Clock = time.monotonic,
        examples: int = 0,
    ) -> None:
        self.ruled_out: dict[str, RuledOut] = {}
        # by candidate, then by seed; exact methods with the same updates share one training
        self.accuracies: dict[str, dict[int, float]] = {}
        self.rates: dict[str, dict[int, float]] = {}
        self.at_the_edge: dict[str, None] = {}  # it chose the lowest or highest rate of its grid
        self.tested_on: int | None = None  # the fewest test examples of a training
        self.next_training: float | None = None  # seconds of the one for which no time was left
        self.measured = 0  # new records
        self._has_reading = False  # whether any candidate has a reading of the goal
        self._has_meter = False  # whether the meter has given the energy of a step
        self._session = session
        self._question = question
        self._labels = labels
        self._progress = progress
        self._clock = clock
        self._examples = examples  # the fewest in the data
        self._smallest_batch = min(session.cell(name).batch for name in labels)
        self._budget = Budget(end)
        self._records = {each.key: each for each in session.store.records(session.run.id)}
        for record in self._records.values():
            self._budget.learn(record.key, record.seconds)
        self._earlier: frozenset[TaskKey] = frozenset()  # the records before this race

    @property
    def end(self) -> float:
        """From this moment on, no measurement begins."""
        return self._budget.end

    def begin_race(self) -> None:
        """Count the rounds so far as those of an earlier race."""
        self._earlier = frozenset(self._records)

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
        """The cost of a candidate, measured by one more process; None if it has none."""
        goal = self._question.goal
        if self._question.is_of_training:
            record = self._training(name, number - 1)  # a round is a seed
        else:
            record = self._perform(name, goal.pass_name, number)
        if record is None:
            return None
        samples = record.samples.get(goal.name) or []
        value = median(samples) if samples else record.metrics.get(goal.name)
        if value is None:
            reason = record.unavailable.get(goal.name, "its pass did not give it")
            if goal.scope == METER and not self._has_reading:  # the meter fails, not the candidate
                raise BadInput(f"--minimise: {goal.noun}: {reason}")
            self._rule_out(name, "unmeasured", f"{goal.noun}: {reason}")
            return None
        self._has_reading = True
        return self._question.cost(self._session.cell(name), value, self._smallest_batch)

    def is_stored(self, name: str, number: int) -> bool:
        """Whether an earlier race took this reading. No training is repeated for another race."""
        if self._question.is_of_training:
            return False
        return TaskKey(name, self._question.goal.pass_name, number) in self._earlier

    def meets_limits(self, name: str) -> bool:
        """Whether a candidate meets the limits of gradient and accuracy."""
        limits = self._question.limits
        if limits.min_cosine is not None and not self._has_cosine(name, limits.min_cosine):
            return False
        return not self._question.learns or self._learns_enough(name, every_seed=False)

    def enters_final(self, name: str) -> bool:
        """Measure the memory and the step of a finalist; whether it trains under the limit."""
        return all(self._perform(name, each, 1) is not None for each in self._beside(MEMORY, TIME))

    def confirms(self, name: str) -> bool:
        """Measure memory and accuracy of the best until both have an interval; whether it stays."""
        tasks = product(self._beside(MEMORY), range(1, fewest_rounds(MEMORY) + 1))
        if any(self._perform(name, each, number) is None for each, number in tasks):
            return False
        return not self._question.learns or self._learns_enough(name, every_seed=True)

    def _beside(self, *pass_names: str) -> list[str]:
        """The passes that the rounds of the race do not run."""
        raced = self._question.goal.pass_name if self._question.repeats else None
        return [each for each in pass_names if each != raced]

    def _has_cosine(self, name: str, least: float) -> bool:
        if has_exact_updates(self._session.cell(name)):
            return True
        record = self._perform(name, FIDELITY, 1)
        if record is None:
            return False
        if LOSS in record.unavailable:
            self._rule_out(name, "loss", "its loss is not a number after ten steps")
            return False
        cosines = [record.metrics[moment] for moment in MOMENTS if moment in record.metrics]
        if not cosines:
            reasons = (record.unavailable.get(moment) for moment in MOMENTS)
            reason = next(filter(None, reasons), "it was not compared")
            self._rule_out(name, "cosine", f"its gradient has no cosine: {reason}")
            return False
        if min(cosines) < least:
            reason = f"cosine {cosine_text(min(cosines), least)}"
            self._rule_out(name, "cosine", reason, min(cosines))
            return False
        return True

    def _learns_enough(self, name: str, *, every_seed: bool) -> bool:
        """Whether the median accuracy over the seeds meets the limit, and each seed the target.

        Without `every_seed`, the first seed is enough if it meets the limit.
        """
        least = self._question.limits.min_accuracy or 0.0
        found: list[Record] = []
        for seed in self._seeds:
            record = self._training(name, seed)
            if record is None:
                return False
            found.append(record)
            if not every_seed and found[0].metrics[ACCURACY] >= least:
                break
        tested = [record.metrics[ACCURACY] for record in found]
        middle = median(tested)
        if middle >= least:
            return True
        accuracy = over_seeds(tested)
        reason = f"accuracy {accuracy_text(accuracy)}"
        is_open = judged(accuracy, least) == "undecided"
        self._rule_out(name, "accuracy", reason, middle, is_open=is_open)
        return False

    def _training(self, name: str, seed: int) -> Record | None:
        """The training of a candidate with this seed; None if it is out.

        Exact methods with the same updates learn the same, so they share one training. They do not
        if the goal is the time or the energy of a training.
        """
        twins = [] if self._question.is_of_training else self._exact_twins(name)
        tasks = (TaskKey(of_seed(each, seed), LEARNING, 1) for each in (name, *twins))
        records = (self._records[task] for task in tasks if task in self._records)
        record = next((each for each in records if ACCURACY in each.metrics), None)
        if record is None and not self._meter_tells(name):
            return None
        record = record or self._perform(name, LEARNING, 1, seed)
        if record is None:
            return None
        if ACCURACY not in record.metrics:
            reason = record.unavailable.get(ACCURACY, "its pass gave no accuracy")
            self._rule_out(name, "loss", reason)
            return None
        self._note_training(name, seed, record)
        return record if self._reaches_target(name, seed, record) else None

    def _note_training(self, name: str, seed: int, record: Record) -> None:
        """Note the accuracy, the rate, and what makes an accuracy less sure.

        It is less sure with few test examples, or with a grid that is too small.
        """
        learned, plan = record.details["learned"], self._session.cell(name).learning
        self.accuracies.setdefault(name, {})[seed] = record.metrics[ACCURACY]
        self.rates.setdefault(name, {})[seed] = learned["rate"]
        if tests := learned.get("test"):
            self.tested_on = min(tests, self.tested_on or tests)
        rates = () if plan is None else plan.learning_rates
        if len(rates) > 1 and learned["rate"] in (min(rates), max(rates)):
            self.at_the_edge[name] = None

    def _meter_tells(self, name: str) -> bool:
        """Try the meter once, before the first training whose energy is the goal.

        BadInput if it gives no energy. False if the candidate cannot train.
        """
        question = self._question
        if not question.is_of_training or question.goal.scope != METER or self._has_meter:
            return True
        record = self._perform(name, ENERGY, 1)
        if record is None:
            return False
        self._has_meter = STEP_ENERGY in record.metrics
        if not self._has_meter:
            reason = record.unavailable.get(STEP_ENERGY, "its pass did not give it")
            raise BadInput(f"--minimise: {question.goal.noun}: {reason}")
        return True

    def _reaches_target(self, name: str, seed: int, record: Record) -> bool:
        target = self._question.target
        if target is None:
            return True
        seconds = record.metrics.get(TO_TARGET[0])
        if seconds == 0:
            raise BadInput(
                f"--target: the network has an accuracy of {target:g} before it is trained: give "
                "a higher one"
            )
        if seconds is None:
            highest = highest_test(record)
            reason = f"its highest accuracy is {highest:.3f} with seed {seed}"
            self._rule_out(name, "target", reason, highest, is_open=self._question.seeds == 1)
        return seconds is not None

    def _exact_twins(self, name: str) -> list[str]:
        """The exact methods that differ from this candidate in nothing but the method."""
        cell = self._session.cell(name)
        if not has_exact_updates(cell):
            return []
        return [other for other in self._labels if _trains_as(self._session.cell(other), cell)]

    def _perform(
        self, name: str, pass_name: str, number: int, seed: int | None = None
    ) -> Record | None:
        """The record of one process, after the passes that it needs; None if one of them failed."""
        cell = self._session.cell(name if seed is None else of_seed(name, seed))
        for needed in passes_of(cell, (pass_name,)):
            task = TaskKey(cell.id, needed, 1 if needed == CALIBRATE else number)
            record = self._record(name, task)
            if record.status != "ok":
                self._failed(name, record)
                return None
        return record

    def _record(self, name: str, task: TaskKey) -> Record:
        if task in self._records:
            return self._records[task]
        left = self._budget.end - self._clock()
        if (expected := self._expected(name, task)) >= left:
            if task.pass_name in (LEARNING, LEARNING_RATE) and expected:
                self.next_training = expected
            raise OutOfTime
        seed = f", seed {self._session.cell(task.cell).seed}" if task.cell != name else ""
        words = f"{self._labels[name]}, {task.pass_name}{seed}"
        self._progress.begin(words, "", TimeLeft(left, is_exact=False))
        record = self._session.perform(task, self._progress.tick, left)
        self._budget.learn(task, record.seconds)
        self._records[task] = record
        self.measured += 1
        return record

    def _expected(self, name: str, task: TaskKey) -> float:
        """The seconds of a process, by equal ones or by the pilot; 0 if nothing is known."""
        expected = self._budget.expected(task)
        if expected is not None or task.pass_name not in (LEARNING, LEARNING_RATE):
            return expected or 0.0
        seeds = (TaskKey(of_seed(name, each), task.pass_name, 1) for each in self._seeds)
        if earlier := [self._records[each].seconds for each in seeds if each in self._records]:
            return earlier[0]
        pilot = self._records.get(TaskKey(name, PILOT, 1))
        step = pilot.details.get("step_seconds", 0.0) if pilot is not None else 0.0
        cell = self._session.cell(task.cell)
        return least_seconds(cell, task.pass_name, step, self._examples)

    @property
    def _seeds(self) -> range:
        return range(self._question.seeds)

    def _failed(self, name: str, record: Record) -> None:
        if record.status == "oom" and passes.BY_NAME[record.key.pass_name].is_capped:
            self._rule_out(name, "memory", _first_words(record.reason))
        elif record.status == "skipped" and record.key.pass_name == LEARNING:
            self._rule_out(name, "loss", record.reason)  # no rate of the grid trains it
        elif record.status == "skipped":
            self._rule_out(name, "unsuitable", record.reason)
        else:
            where = record.key.pass_name
            self._rule_out(name, "failed", f"{where}: {record.status}: {record.reason}")

    def _rule_out(
        self,
        name: str,
        cause: Cause,
        reason: str,
        value: float | None = None,
        *,
        is_open: bool = False,
    ) -> None:
        self.ruled_out.setdefault(name, RuledOut(name, cause, reason, value, is_open))
        self._progress.note(f"out: {with_reason(self._labels[name], reason)}")


def _trains_as(one: Cell, other: Cell) -> bool:
    return has_exact_updates(one) and (one.of_any_method, one.layers) == (
        other.of_any_method,
        other.layers,
    )


def _first_words(reason: str) -> str:
    return reason.partition(";")[0]
