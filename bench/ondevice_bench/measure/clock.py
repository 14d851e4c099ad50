"""Step times by phase, and the load of the machine while they were measured."""

import gc
import math
import resource
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, fields
from statistics import median
from typing import Generic, TypeVar

from ondevice_bench.measure import interference
from ondevice_bench.measure.training_step import TrainingStep
from ondevice_bench.stats import relative_precision
from ondevice_bench.suite.suite import Sampling

SPOILT = (
    "disturbed by other programs or by a quota, and there was no time to measure again. So these "
    "times may be too long. Stop other programs, or raise `max_seconds`, and run again"
)
WINDOW = 0.5  # seconds after which the machine's counters show a disturbance
STILL_FASTER = 0.95  # warming up goes on below this share of the previous step's time
MOST_WARMUPS = 10  # at most this many more than the suite asks for

Sample = TypeVar("Sample")


@dataclass(frozen=True)
class StepSample:
    """One timed step. One clock gives all four times."""

    forward_seconds: float
    backward_seconds: float
    update_seconds: float
    step_seconds: float
    own_cpu_seconds: float
    foreign_cpu_seconds: float | None
    stolen_cpu_seconds: float | None
    throttled_seconds: float | None
    step_minor_faults: float
    major_faults: float
    involuntary_switches: float


@dataclass(frozen=True)
class TimedSamples(Generic[Sample]):
    """The samples of one quantity, and the reason why sampling ended.

    `disturbed` samples were measured again. If no time was left for that, they are among the
    samples, and `spoilt` is true.
    """

    warmups: list[Sample]
    samples: list[Sample]
    ended_by: str
    precision_reached: float
    disturbed: list[Sample]
    spoilt: bool
    foreign_share: float | None  # cores lost during the samples; None if unknown

    @property
    def notes(self) -> list[str]:
        """A warning if disturbed samples are among the samples."""
        return [SPOILT] if self.spoilt else []

    def precision(self, sampling: Sampling) -> dict[str, float | str | None]:
        """The precision that the suite wants, and the one reached: null without an interval."""
        reached = self.precision_reached if math.isfinite(self.precision_reached) else None
        return {"asked": sampling.precision, "reached": reached, "ended_by": self.ended_by}


def time_steps(step: TrainingStep, sampling: Sampling) -> TimedSamples[StepSample]:
    """Time whole steps until the median is precise enough or a limit of the suite is reached."""
    return sample(lambda: _step(step), lambda step: step.step_seconds, sampling)


def time_steps_in_turns(
    step: TrainingStep,
    warmups: int,
    steps: int,
    take: Callable[[Callable[[], StepSample]], StepSample],
) -> tuple[list[StepSample], list[StepSample]]:
    """Warm-ups and steps, each in this worker's turn. Disturbed steps are not measured again."""
    gc.collect()
    gc.disable()
    try:
        samples = [take(lambda: _step(step)) for _ in range(warmups + steps)]
    finally:
        gc.enable()
    return samples[:warmups], samples[warmups:]


def time_inference(step: TrainingStep, sampling: Sampling) -> TimedSamples[float]:
    """Time one forward pass in evaluation mode, in seconds."""
    return time_calls(step.infer, sampling)


def time_calls(call: Callable[[], object], sampling: Sampling) -> TimedSamples[float]:
    """Time a call as a whole, in seconds."""

    def measure() -> float:
        start = time.perf_counter_ns()
        call()
        return (time.perf_counter_ns() - start) / 1e9

    return sample(measure, lambda seconds: seconds, sampling)


def columns(samples: list[StepSample]) -> dict[str, list[float]]:
    """Samples by name, without the columns that this machine cannot measure."""
    table = {
        spot.name: [getattr(sample, spot.name) for sample in samples] for spot in fields(StepSample)
    }
    return {name: values for name, values in table.items() if None not in values}


def notes_of_faults(samples: Sequence[StepSample]) -> list[str]:
    """A note if most steps waited for pages that were in swap or on a disk.

    The board has too little memory then, and the time of a step is that of its swap or card.
    """
    pages = median(sample.major_faults for sample in samples)
    if pages < 1:
        return []
    means = "So its time is that of the swap or of the disk"
    cure = "Use a smaller batch, or a board with more memory"
    return [f"a step waited for {pages:g} pages from swap or from a disk. {means}. {cure}"]


def foreign_share(steps: Sequence[StepSample]) -> float | None:
    """The cores that others used, or a quota took, during these steps; None if unknown.

    It is for steps that were not taken in windows.
    """
    wall = sum(step.step_seconds for step in steps)
    load = interference.ForeignLoad(
        wall=wall,
        foreign=_total(step.foreign_cpu_seconds for step in steps),
        stolen=_total(step.stolen_cpu_seconds for step in steps),
        throttled=_total(step.throttled_seconds for step in steps),
    )
    return None if load.foreign is None or wall <= 0 else load.taken / wall


def _total(readings: Iterable[float | None]) -> float | None:
    known = [seconds for seconds in readings if seconds is not None]
    return sum(known) if known else None


def sample(
    measure: Callable[[], Sample], seconds: Callable[[Sample], float], sampling: Sampling
) -> TimedSamples[Sample]:
    """Measure until the median of `seconds` is precise enough or a limit is reached.

    Garbage is not collected meanwhile, because that would slow down single samples.
    """
    warmups = _warm_up(measure, seconds, sampling)
    samples: list[Sample] = []
    disturbed: list[Sample] = []
    loads: list[interference.ForeignLoad] = []
    disturbing: list[interference.ForeignLoad] = []
    spoilt = False
    gc.collect()
    gc.disable()
    try:
        began = time.perf_counter()

        def reason_to_end(so_far: list[Sample]) -> str:
            if len(so_far) < sampling.min_samples:
                return ""
            if _precision(so_far, seconds) <= sampling.precision:
                return "precision"
            if len(so_far) >= sampling.max_samples:
                return "max_samples"
            late = time.perf_counter() - began >= sampling.max_seconds
            return "max_seconds" if late else ""

        while True:
            window, load = _window(measure, reason_to_end, samples)
            room = len(disturbed) + len(window) <= sampling.max_samples
            late = time.perf_counter() - began >= sampling.max_seconds
            if load.is_disturbing and room and not late:
                disturbed += window
                disturbing.append(load)
                continue
            spoilt = spoilt or load.is_disturbing
            samples += window
            loads.append(load)
            if late and len(samples) < sampling.min_samples <= len(samples) + len(disturbed):
                samples, disturbed, spoilt = [*disturbed, *samples], [], True
                loads = [*disturbing, *loads]
            reason = reason_to_end(samples)
            if reason:
                reached = _precision(samples, seconds)
                share = interference.share_lost(loads)
                return TimedSamples(warmups, samples, reason, reached, disturbed, spoilt, share)
    finally:
        gc.enable()


def _warm_up(
    measure: Callable[[], Sample], seconds: Callable[[Sample], float], sampling: Sampling
) -> list[Sample]:
    """The suite's warm-ups, then more until one is no longer faster than the one before."""
    warmups = [measure() for _ in range(sampling.warmup)]
    for _ in range(MOST_WARMUPS):
        if len(warmups) > 1 and seconds(warmups[-1]) >= STILL_FASTER * seconds(warmups[-2]):
            break
        warmups.append(measure())
    return warmups


def _window(
    measure: Callable[[], Sample],
    reason_to_end: Callable[[list[Sample]], str],
    earlier: list[Sample],
) -> tuple[list[Sample], interference.ForeignLoad]:
    """Sample for one window of the machine's counters, or until there is a reason to end."""
    before = interference.read()
    samples: list[Sample] = []
    while not samples or (
        time.perf_counter() - before.wall < WINDOW and not reason_to_end([*earlier, *samples])
    ):
        samples.append(measure())
    return samples, interference.between(before, interference.read())


def _precision(samples: list[Sample], seconds: Callable[[Sample], float]) -> float:
    return relative_precision([seconds(sample) for sample in samples])


def _step(step: TrainingStep) -> StepSample:
    counters = interference.read()
    before = resource.getrusage(resource.RUSAGE_SELF)
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
    after = resource.getrusage(resource.RUSAGE_SELF)
    since = interference.read()
    load = interference.between(counters, since)
    return StepSample(
        forward_seconds=forward / 1e9,
        backward_seconds=(done - start - forward) / 1e9,
        update_seconds=(end - done) / 1e9,
        step_seconds=(end - start) / 1e9,
        own_cpu_seconds=since.own - counters.own,
        foreign_cpu_seconds=load.foreign,
        stolen_cpu_seconds=load.stolen,
        throttled_seconds=load.throttled,
        step_minor_faults=after.ru_minflt - before.ru_minflt,
        major_faults=after.ru_majflt - before.ru_majflt,
        involuntary_switches=after.ru_nivcsw - before.ru_nivcsw,
    )
