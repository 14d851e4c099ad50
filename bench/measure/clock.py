"""Step times, phase by phase, with what else the machine did meanwhile."""

import gc
import math
import os
import resource
import time
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Generic, TypeVar

from bench.measure.subject import Subject
from bench.stats import relative_precision
from bench.suite.suite import Sampling

_PROC_STAT = Path("/proc/stat")
_TICKS = os.sysconf("SC_CLK_TCK")
_CPU_FIELDS = 8  # user nice system idle iowait irq softirq steal; guest is within user
_IDLE, _IOWAIT = 3, 4

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
    major_faults: float
    involuntary_switches: float


@dataclass(frozen=True)
class Sampled(Generic[Sample]):
    """What was timed, and how the sampling came to its end."""

    warmups: list[Sample]
    samples: list[Sample]
    ended_by: str
    reached: float

    def precision(self, sampling: Sampling) -> dict[str, float | str | None]:
        """What was asked for and what was reached; null while there is no interval."""
        reached = self.reached if math.isfinite(self.reached) else None
        return {"asked": sampling.precision, "reached": reached, "ended_by": self.ended_by}


def time_steps(subject: Subject, sampling: Sampling) -> Sampled[StepSample]:
    """Time whole steps until the median is known well enough or a bound is met."""
    return _sample(lambda: _step(subject), lambda step: step.step_seconds, sampling)


def time_inference(subject: Subject, sampling: Sampling) -> Sampled[float]:
    """Time one forward pass in evaluation mode, in seconds."""

    def once() -> float:
        start = time.perf_counter_ns()
        subject.infer()
        return (time.perf_counter_ns() - start) / 1e9

    return _sample(once, lambda seconds: seconds, sampling)


def columns(samples: list[StepSample]) -> dict[str, list[float]]:
    """Samples by name; a column that this machine cannot give is left out."""
    table = {
        spot.name: [getattr(sample, spot.name) for sample in samples] for spot in fields(StepSample)
    }
    return {name: values for name, values in table.items() if None not in values}


def foreign_share(samples: list[StepSample]) -> float | None:
    """CPU seconds that other processes took, for each second of the samples."""
    taken = [sample.foreign_cpu_seconds for sample in samples]
    wall = sum(sample.step_seconds for sample in samples)
    known = [seconds for seconds in taken if seconds is not None]
    return max(0.0, sum(known)) / wall if known and wall > 0 else None


def busy_cpu_seconds() -> float | None:
    """CPU seconds of all processes on this machine since boot, in ticks of 10 ms mostly."""
    try:
        with _PROC_STAT.open() as file:
            ticks = [int(word) for word in file.readline().split()[1 : 1 + _CPU_FIELDS]]
    except (OSError, ValueError):
        return None
    return (sum(ticks) - ticks[_IDLE] - ticks[_IOWAIT]) / _TICKS


def _sample(
    measure: Callable[[], Sample], seconds: Callable[[Sample], float], sampling: Sampling
) -> Sampled[Sample]:
    """Collected garbage first, none collected meanwhile: a collection would land in one sample."""
    warmups = [measure() for _ in range(sampling.warmup)]
    samples: list[Sample] = []
    reached = math.inf
    gc.collect()
    gc.disable()
    try:
        began = time.perf_counter()
        while True:
            samples.append(measure())
            if len(samples) < sampling.min_samples:
                continue
            reached = relative_precision([seconds(sample) for sample in samples])
            if reached <= sampling.precision:
                return Sampled(warmups, samples, "precision", reached)
            if len(samples) >= sampling.max_samples:
                return Sampled(warmups, samples, "max_samples", reached)
            if time.perf_counter() - began >= sampling.max_seconds:
                return Sampled(warmups, samples, "max_seconds", reached)
    finally:
        gc.enable()


def _step(subject: Subject) -> StepSample:
    before = resource.getrusage(resource.RUSAGE_SELF)
    machine, own = busy_cpu_seconds(), time.process_time()
    start = time.perf_counter_ns()
    forward, began = 0, start
    for part in range(subject.parts):
        loss = subject.forward(part)
        turned = time.perf_counter_ns()
        subject.backward(loss)
        done = time.perf_counter_ns()
        forward += turned - began
        began = done
    subject.update()
    end = time.perf_counter_ns()
    own = time.process_time() - own
    busy = busy_cpu_seconds()
    after = resource.getrusage(resource.RUSAGE_SELF)
    return StepSample(
        forward_seconds=forward / 1e9,
        backward_seconds=(done - start - forward) / 1e9,
        update_seconds=(end - done) / 1e9,
        step_seconds=(end - start) / 1e9,
        own_cpu_seconds=own,
        foreign_cpu_seconds=busy - machine - own
        if busy is not None and machine is not None
        else None,
        major_faults=after.ru_majflt - before.ru_majflt,
        involuntary_switches=after.ru_nivcsw - before.ru_nivcsw,
    )
