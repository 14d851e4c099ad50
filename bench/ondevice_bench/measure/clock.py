"""Step times, phase by phase, with what else the machine did meanwhile."""

import gc
import math
import resource
import time
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Generic, TypeVar

from ondevice_bench.measure import interference
from ondevice_bench.measure.training_step import TrainingStep
from ondevice_bench.stats import relative_precision
from ondevice_bench.suite.suite import Sampling

WINDOW = 0.5  # seconds over which the machine's counters can tell who was disturbed
STILL_FASTER = 0.95  # of the step before: warming up goes on
MOST_WARMUPS = 10  # beyond those that were asked for

Sample = TypeVar("Sample")


@dataclass(frozen=True)
class StepSample:
    """One timed step; the four times are read from one clock in one go."""

    forward_seconds: float
    backward_seconds: float
    update_seconds: float
    step_seconds: float
    own_cpu_seconds: float
    foreign_cpu_seconds: float | None
    stolen_cpu_seconds: float | None
    throttled_seconds: float | None
    major_faults: float
    involuntary_switches: float


@dataclass(frozen=True)
class Sampled(Generic[Sample]):
    """What was timed, and how the sampling came to its end.

    `disturbed` were measured again; where there was no time for that, they are among the samples
    and `spoilt` says so.
    """

    warmups: list[Sample]
    samples: list[Sample]
    ended_by: str
    reached: float
    disturbed: list[Sample]
    spoilt: bool

    def precision(self, sampling: Sampling) -> dict[str, float | str | None]:
        """What was asked for and what was reached; null while there is no interval."""
        reached = self.reached if math.isfinite(self.reached) else None
        return {"asked": sampling.precision, "reached": reached, "ended_by": self.ended_by}


def time_steps(step: TrainingStep, sampling: Sampling) -> Sampled[StepSample]:
    """Time whole steps until the median is known well enough or a bound is met."""
    return _sample(lambda: _step(step), lambda step: step.step_seconds, sampling)


def time_steps_in_turns(
    step: TrainingStep,
    warmups: int,
    steps: int,
    take: Callable[[Callable[[], StepSample]], StepSample],
) -> tuple[list[StepSample], list[StepSample]]:
    """Warm-ups and steps, each when it is our turn: none is measured again, both sides count."""
    gc.collect()
    gc.disable()
    try:
        taken = [take(lambda: _step(step)) for _ in range(warmups + steps)]
    finally:
        gc.enable()
    return taken[:warmups], taken[warmups:]


def time_inference(step: TrainingStep, sampling: Sampling) -> Sampled[float]:
    """Time one forward pass in evaluation mode, in seconds."""
    return time_calls(step.infer, sampling)


def time_calls(call: Callable[[], object], sampling: Sampling) -> Sampled[float]:
    """Time a call as a whole, in seconds."""

    def once() -> float:
        start = time.perf_counter_ns()
        call()
        return (time.perf_counter_ns() - start) / 1e9

    return _sample(once, lambda seconds: seconds, sampling)


def columns(samples: list[StepSample]) -> dict[str, list[float]]:
    """Samples by name; a column that this machine cannot give is left out."""
    table = {
        spot.name: [getattr(sample, spot.name) for sample in samples] for spot in fields(StepSample)
    }
    return {name: values for name, values in table.items() if None not in values}


def foreign_share(samples: list[StepSample]) -> float | None:
    """CPU seconds that other processes and hypervisors took, for each second of the samples."""
    taken = [sample.foreign_cpu_seconds for sample in samples]
    wall = sum(sample.step_seconds for sample in samples)
    known = [seconds for seconds in taken if seconds is not None]
    stolen = sum(sample.stolen_cpu_seconds or 0.0 for sample in samples)
    return max(0.0, sum(known) + stolen) / wall if known and wall > 0 else None


def _sample(
    measure: Callable[[], Sample], seconds: Callable[[Sample], float], sampling: Sampling
) -> Sampled[Sample]:
    """Collected garbage first, none collected meanwhile: a collection would land in one sample."""
    warmups = _warm_up(measure, seconds, sampling)
    kept: list[Sample] = []
    disturbed: list[Sample] = []
    spoilt = False
    gc.collect()
    gc.disable()
    try:
        began = time.perf_counter()

        def ended(samples: list[Sample]) -> str:
            if len(samples) < sampling.min_samples:
                return ""
            if _precision(samples, seconds) <= sampling.precision:
                return "precision"
            if len(samples) >= sampling.max_samples:
                return "max_samples"
            late = time.perf_counter() - began >= sampling.max_seconds
            return "max_seconds" if late else ""

        while True:
            window, meanwhile = _window(measure, ended, kept)
            room = len(disturbed) + len(window) <= sampling.max_samples
            late = time.perf_counter() - began >= sampling.max_seconds
            if meanwhile.disturbed and room and not late:
                disturbed += window
                continue
            spoilt = spoilt or meanwhile.disturbed
            kept += window
            if late and len(kept) < sampling.min_samples <= len(kept) + len(disturbed):
                kept, disturbed, spoilt = [*disturbed, *kept], [], True
            reason = ended(kept)
            if reason:
                reached = _precision(kept, seconds)
                return Sampled(warmups, kept, reason, reached, disturbed, spoilt)
    finally:
        gc.enable()


def _warm_up(
    measure: Callable[[], Sample], seconds: Callable[[Sample], float], sampling: Sampling
) -> list[Sample]:
    """As many as were asked for, then until a sample is no longer faster than the one before."""
    found = [measure() for _ in range(sampling.warmup)]
    for _ in range(MOST_WARMUPS):
        if len(found) > 1 and seconds(found[-1]) >= STILL_FASTER * seconds(found[-2]):
            break
        found.append(measure())
    return found


def _window(
    measure: Callable[[], Sample], ended: Callable[[list[Sample]], str], kept: list[Sample]
) -> tuple[list[Sample], interference.Meanwhile]:
    """Samples long enough together for the machine's counters, or until `kept` has enough."""
    before = interference.read()
    samples: list[Sample] = []
    while not samples or (
        time.perf_counter() - before.wall < WINDOW and not ended([*kept, *samples])
    ):
        samples.append(measure())
    return samples, interference.between(before, interference.read())


def _precision(samples: list[Sample], seconds: Callable[[Sample], float]) -> float:
    return relative_precision([seconds(sample) for sample in samples])


def _step(step: TrainingStep) -> StepSample:
    before = resource.getrusage(resource.RUSAGE_SELF)
    counters = interference.read()
    start = time.perf_counter_ns()
    forward, began = 0, start
    for part in range(step.parts):
        loss = step.forward(part)
        turned = time.perf_counter_ns()
        step.backward(loss)
        done = time.perf_counter_ns()
        forward += turned - began
        began = done
    step.update()
    end = time.perf_counter_ns()
    since = interference.read()
    meanwhile = interference.between(counters, since)
    after = resource.getrusage(resource.RUSAGE_SELF)
    return StepSample(
        forward_seconds=forward / 1e9,
        backward_seconds=(done - start - forward) / 1e9,
        update_seconds=(end - done) / 1e9,
        step_seconds=(end - start) / 1e9,
        own_cpu_seconds=since.own - counters.own,
        foreign_cpu_seconds=meanwhile.foreign,
        stolen_cpu_seconds=meanwhile.stolen,
        throttled_seconds=meanwhile.throttled,
        major_faults=after.ru_majflt - before.ru_majflt,
        involuntary_switches=after.ru_nivcsw - before.ru_nivcsw,
    )
