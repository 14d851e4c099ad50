"""Where a sequence of noisy readings steps to another level. Pure; one reading a run.

A segmentation with a penalty (ruptures) proposes places. A place holds where Mann and Whitney's
interval for the ratio of the readings near it, up to the places next to it, lies beyond the
threshold. Readings that a straight line fits better than a step drift: they have no place.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median
from typing import Literal

from ondevice_bench.errors import BadInput
from ondevice_bench.stats import more_rounds, shift

Kind = Literal["stepped", "pending", "drifts"]
PENALTY = 3.0  # times the logarithm of the count: generous, because what is proposed is judged
NEAR = 40  # readings on each side that a place is judged by
MOST = 12  # segments: with more, what is judged grows too fast
NORMAL = 0.6745 * math.sqrt(2)  # the median distance of two readings, in their deviations
NO_RUPTURES = (
    "noisy metrics over many runs need ruptures, which is there for Python 3.11 to 3.13: "
    "pip install 'ondevice-bench[history]'; --metric with an exact one needs nothing"
)


@dataclass(frozen=True)
class ChangePoint:
    """A change from one reading to the next, at `place`; `needs` more readings to be sure of it.

    A drift has the places of its first and last reading, and no interval.
    """

    kind: Kind
    place: int
    ratio: float
    lower: float | None = None
    upper: float | None = None
    needs: int = 0
    end: int = 0


def find_change_points(
    readings: Sequence[float], threshold: float, confidence: float
) -> tuple[ChangePoint, ...]:
    """Every step beyond the threshold, in order, and what may become one."""
    if len(readings) < 3:
        return ()
    proposed = _proposed(readings, threshold)
    sure = _confirmed(readings, proposed, threshold, confidence)
    bounds = [0, *sure, len(readings)]
    found = [
        _step(place, *_sides(readings, start, place, end), threshold, confidence)
        for start, place, end in zip(bounds, bounds[1:], bounds[2:], strict=False)
    ]
    for start, end in pairwise(bounds):
        within = [place for place in proposed if start < place < end]
        sides = [_sides(readings, start, place, end) for place in within]
        if any(_is_drift(*side, threshold, confidence) for side in sides):
            slope, _ = _line(_logs(readings[start:end]))
            ratio = math.exp(slope * (end - start - 1))
            found.append(ChangePoint("drifts", start, ratio, end=end - 1))
    start = sure[-1] if sure else 0
    found += _pending(readings, start, proposed, threshold, confidence)
    return tuple(sorted(found, key=lambda step: step.place))


def _proposed(readings: Sequence[float], threshold: float) -> list[int]:
    """Places where a least-squares segmentation of the logarithms would cut."""
    try:
        import numpy
        from ruptures import KernelCPD
    except ImportError:
        raise BadInput(NO_RUPTURES) from None
    logs = _logs(readings)
    apart = median(abs(after - before) for before, after in pairwise(logs)) / NORMAL
    noise = max(apart, threshold / 10)  # readings that agree to the last digit have no noise
    scaled = numpy.array(logs).reshape(-1, 1) / noise
    segmentation = KernelCPD("linear", min_size=1).fit(scaled)
    penalty = PENALTY * math.log(len(logs))
    while len(ends := segmentation.predict(pen=penalty)) > MOST:
        penalty *= 2
    return [int(end) for end in ends[:-1]]


def _confirmed(
    readings: Sequence[float], proposed: Sequence[int], threshold: float, confidence: float
) -> list[int]:
    """Of all choices among the places in which each holds beside its neighbours, the closest.

    A choice is kept by its last two bounds, because that is what the next place depends on.
    """
    bounds = [0, *proposed, len(readings)]
    best: dict[tuple[int, int], tuple[float, list[int]]] = {
        (0, end): (_from_level(readings[:end]), []) for end in bounds[1:]
    }
    for number, place in enumerate(bounds[1:-1], start=1):
        for start in bounds[:number]:
            if (start, place) not in best:
                continue
            apart, places = best[start, place]
            for end in bounds[number + 1 :]:
                if _is_step(*_sides(readings, start, place, end), threshold, confidence):
                    choice = (apart + _from_level(readings[place:end]), [*places, place])
                    best[place, end] = min(best.get((place, end), choice), choice)
    return min(choice for (_, end), choice in best.items() if end == len(readings))[1]


def _sides(
    readings: Sequence[float], start: int, place: int, end: int
) -> tuple[Sequence[float], Sequence[float]]:
    """The readings before and after a place, between two others, no farther than is near."""
    near = slice(max(start, place - NEAR), place), slice(place, min(end, place + NEAR))
    return readings[near[0]], readings[near[1]]


def _step(
    place: int, before: Sequence[float], after: Sequence[float], threshold: float, confidence: float
) -> ChangePoint:
    found = shift(before, after, threshold, confidence)
    return ChangePoint("stepped", place, found.ratio, found.lower, found.upper)


def _is_step(
    before: Sequence[float], after: Sequence[float], threshold: float, confidence: float
) -> bool:
    is_short = more_rounds(len(before), len(after), confidence) > 0  # told at once
    if is_short or not _differ(before, after, threshold, confidence):
        return False
    return not _fits_a_line(before, after)


def _is_drift(
    before: Sequence[float], after: Sequence[float], threshold: float, confidence: float
) -> bool:
    return _differ(before, after, threshold, confidence) and _fits_a_line(before, after)


def _differ(
    before: Sequence[float], after: Sequence[float], threshold: float, confidence: float
) -> bool:
    return shift(before, after, threshold, confidence).direction in {"less", "more"}


def _pending(
    readings: Sequence[float],
    start: int,
    proposed: Sequence[int],
    threshold: float,
    confidence: float,
) -> list[ChangePoint]:
    """The latest readings, where all of them lie apart and are only too few."""
    for place in (place for place in proposed if place > start):
        before, after = _sides(readings, start, place, len(readings))
        needs = more_rounds(len(before), len(after), confidence)
        apart = min(after) > max(before) or max(after) < min(before)
        ratio = math.exp(median(_logs(after)) - median(_logs(before)))
        if needs and apart and abs(math.log(ratio)) > math.log1p(threshold):
            return [ChangePoint("pending", place, ratio, needs=needs)]
    return []


def _fits_a_line(before: Sequence[float], after: Sequence[float]) -> bool:
    """Whether the readings lie nearer to one line than to a level on each side."""
    logs = _logs([*before, *after])
    slope, level = _line(logs)
    from_line = sum(abs(value - level - slope * place) for place, value in enumerate(logs))
    return from_line <= _from_level(before) + _from_level(after)


def _from_level(readings: Sequence[float]) -> float:
    """How far the logarithms lie from their median, all together."""
    logs = _logs(readings)
    middle = median(logs)
    return sum(abs(value - middle) for value in logs)


def _line(values: Sequence[float]) -> tuple[float, float]:
    """Slope and level of a line by Theil: the median slope between values half of all apart."""
    apart = (len(values) + 1) // 2
    slopes = [(later - value) / apart for value, later in zip(values, values[apart:], strict=False)]
    slope = median(slopes)
    return slope, median(value - slope * place for place, value in enumerate(values))


def _logs(readings: Sequence[float]) -> list[float]:
    return [math.log(value) for value in readings]
