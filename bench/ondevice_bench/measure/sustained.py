"""Steps without pause, and what the machine shows meanwhile, second by second.

The sensors are read between two steps, in the thread of the steps. So they are part of no step.
A reading comes once a second, and later if the last one was slow: all readings together take less
than a twentieth of the time.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

from ondevice_bench.sensors import machine, throttling

SECOND, MINUTE = 1.0, 60.0
PATIENCE = 20  # times the seconds of a reading: the shortest time until the next one


@dataclass(frozen=True)
class Second:
    """A second of training, or one step if it takes longer. Times count from the first step."""

    start: float
    end: float
    steps: int
    step_seconds: float  # the median
    readings: Mapping[str, float]  # after the last step


@dataclass(frozen=True)
class Sustained:
    """A training without pause."""

    first: Mapping[str, float]  # the readings before the first step
    rows: tuple[Second, ...]

    @property
    def steps(self) -> int:
        """All steps."""
        return sum(row.steps for row in self.rows)

    @property
    def seconds(self) -> float:
        """The time of all steps, without that of the readings."""
        return sum(row.end - row.start for row in self.rows)

    @property
    def first_minute(self) -> tuple[Second, ...]:
        """The rows that lie in the first minute."""
        return tuple(row for row in self.rows if row.end <= MINUTE)

    @property
    def last_minute(self) -> tuple[Second, ...]:
        """The rows that lie in the last minute."""
        return tuple(row for row in self.rows if row.start >= self.rows[-1].end - MINUTE)

    @property
    def ratios(self) -> list[float]:
        """Step times of the last minute, each divided by one of the first, in their order.

        There are none if the training took less than two minutes, or if no row lies in a minute.
        """
        if self.rows[-1].end < 2 * MINUTE:
            return []
        pairs = zip(self.first_minute, self.last_minute, strict=False)
        return [late.step_seconds / early.step_seconds for early, late in pairs]

    def highest(self, name: str) -> float | None:
        """The highest reading of a sensor; None if it was never read."""
        return max(self._readings(name), default=None)

    def rise(self, name: str) -> float | None:
        """By how much a counter rose; None if it was not read up to the end."""
        last = self.rows[-1].readings.get(name)
        return None if last is None else last - self.first[name]

    def column(self, name: str) -> list[float]:
        """The readings of a sensor by row, or how much a counter rose in each row."""
        readings = self._readings(name)
        if name not in machine.COUNTERS:
            return readings[1:]
        return [after - before for before, after in pairwise(readings)]

    def throttled(self) -> tuple[float, tuple[str, ...]] | None:
        """When the clock was first lowered, and why; None if never, or if unknown."""
        name = machine.THROTTLING
        if name not in self.first:
            return None
        # each reading against the one before: a file of the kernel forgets after two seconds
        before = int(self.first[name])
        moments = [(0.0, throttling.since(before, before))]
        for row in self.rows:
            if name in row.readings:
                bits = int(row.readings[name])
                moments.append((row.end, throttling.since(bits, before)))
                before = bits
        return next(((moment, throttling.causes(bits)) for moment, bits in moments if bits), None)

    def _readings(self, name: str) -> list[float]:
        found = [self.first.get(name), *(row.readings.get(name) for row in self.rows)]
        return [value for value in found if value is not None]


def sustain(
    step: Callable[[], object],
    seconds: float,
    read: Callable[[], Mapping[str, float]],
    clock: Callable[[], float] = time.perf_counter,
) -> Sustained:
    """Step again and again for this time, and read the sensors once a second."""
    first = read()
    began = clock()
    rows: list[Second] = []
    times: list[float] = []
    row_began, wait = 0.0, SECOND
    while True:
        start = clock()
        step()
        end = clock()
        times.append(end - start)
        is_over = end - began >= seconds
        if end - began - row_began < wait and not is_over:
            continue
        readings = read()
        read_end = clock()
        rows.append(Second(row_began, end - began, len(times), median(times), readings))
        if is_over:
            return Sustained(first, tuple(rows))
        row_began, wait, times = read_end - began, max(SECOND, PATIENCE * (read_end - end)), []


def rounded(values: Sequence[float]) -> list[float]:
    """The values with four digits: a curve needs no more."""
    return [float(f"{value:.4g}") for value in values]
