"""Finds where a sequence of noisy readings jumps to another level. Pure; one reading for each run.

A segmentation with a penalty proposes places. A place is confirmed if the Mann-Whitney interval for
the ratio of the readings on both sides lies beyond the threshold. The readings of a side end at the
next place. If a line fits the readings better than a jump, they are a drift. A drift has no place.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median
from typing import Literal

from ondevice_bench.analyse.segmentation import best_cuts
from ondevice_bench.stats import more_rounds, shift

Kind = Literal["stepped", "pending", "drifts"]
PENALTY = 3.0  # times the logarithm of the count; low, because each proposed place is judged
NEAR = 40  # the most readings on each side that decide about a place
MOST = 12  # segments; the time to judge them grows fast with their number
_MEDIAN_STEP = 0.6745 * math.sqrt(2)  # of two normal readings, in standard deviations


@dataclass(frozen=True)
class ChangePoint:
    """A change of level before the reading at `place`. `needs` more readings would confirm it.

    A drift goes from the reading at `place` to the one at `end`, and has no interval.
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
    """Every change beyond the threshold, in order, also drifts and unconfirmed changes."""
    if len(readings) < 3:
        return ()
    candidates = _candidates(readings, threshold)
    confirmed = _confirmed(readings, candidates, threshold, confidence)
    bounds = [0, *confirmed, len(readings)]
    points = [
        _change_point(place, *_sides(readings, start, place, end), threshold, confidence)
        for start, place, end in zip(bounds, bounds[1:], bounds[2:], strict=False)
    ]
    for start, end in pairwise(bounds):
        within = [place for place in candidates if start < place < end]
        sides = [_sides(readings, start, place, end) for place in within]
        if any(_is_drift(*side, threshold, confidence) for side in sides):
            slope, _ = _line(_logs(readings[start:end]))
            ratio = math.exp(slope * (end - start - 1))
            points.append(ChangePoint("drifts", start, ratio, end=end - 1))
    start = confirmed[-1] if confirmed else 0
    points += _pending(readings, start, candidates, threshold, confidence)
    return tuple(sorted(points, key=lambda point: point.place))


def _candidates(readings: Sequence[float], threshold: float) -> list[int]:
    """The places where a least-squares segmentation cuts the logarithms."""
    logs = _logs(readings)
    difference = median(abs(after - before) for before, after in pairwise(logs)) / _MEDIAN_STEP
    noise = max(difference, threshold / 10)  # above 0, even if all readings are equal
    scaled = [value / noise for value in logs]
    penalty = PENALTY * math.log(len(logs))
    while len(cuts := best_cuts(scaled, penalty)) >= MOST:
        penalty *= 2
    return cuts


def _confirmed(
    readings: Sequence[float], candidates: Sequence[int], threshold: float, confidence: float
) -> list[int]:
    """The confirmed places: of all valid choices of places, the one that fits the readings best.

    A choice is valid if each of its places is confirmed between its neighbours. The best choice is
    stored for each pair of last bounds, because the next place depends on these two only.
    """
    bounds = [0, *candidates, len(readings)]
    best: dict[tuple[int, int], tuple[float, list[int]]] = {
        (0, end): (_from_level(readings[:end]), []) for end in bounds[1:]
    }
    for number, place in enumerate(bounds[1:-1], start=1):
        for start in bounds[:number]:
            if (start, place) not in best:
                continue
            distance, places = best[start, place]
            for end in bounds[number + 1 :]:
                if _is_change(*_sides(readings, start, place, end), threshold, confidence):
                    choice = (distance + _from_level(readings[place:end]), [*places, place])
                    best[place, end] = min(best.get((place, end), choice), choice)
    return min(choice for (_, end), choice in best.items() if end == len(readings))[1]


def _sides(
    readings: Sequence[float], start: int, place: int, end: int
) -> tuple[Sequence[float], Sequence[float]]:
    """The readings between `start` and `end`, before and after a place: at most `NEAR` of each."""
    near = slice(max(start, place - NEAR), place), slice(place, min(end, place + NEAR))
    return readings[near[0]], readings[near[1]]


def _change_point(
    place: int, before: Sequence[float], after: Sequence[float], threshold: float, confidence: float
) -> ChangePoint:
    change = shift(before, after, threshold, confidence)
    return ChangePoint("stepped", place, change.ratio, change.lower, change.upper)


def _is_change(
    before: Sequence[float], after: Sequence[float], threshold: float, confidence: float
) -> bool:
    is_short = more_rounds(len(before), len(after), confidence) > 0  # cheap, so it comes first
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
    candidates: Sequence[int],
    threshold: float,
    confidence: float,
) -> list[ChangePoint]:
    """A change that only needs more readings: all later ones are above, or below, the others."""
    for place in (place for place in candidates if place > start):
        before, after = _sides(readings, start, place, len(readings))
        needs = more_rounds(len(before), len(after), confidence)
        is_separate = min(after) > max(before) or max(after) < min(before)
        ratio = math.exp(median(_logs(after)) - median(_logs(before)))
        if needs and is_separate and abs(math.log(ratio)) > math.log1p(threshold):
            return [ChangePoint("pending", place, ratio, needs=needs)]
    return []


def _fits_a_line(before: Sequence[float], after: Sequence[float]) -> bool:
    """Whether one line fits the readings at least as well as a level on each side."""
    logs = _logs([*before, *after])
    slope, level = _line(logs)
    from_line = sum(abs(value - level - slope * place) for place, value in enumerate(logs))
    return from_line <= _from_level(before) + _from_level(after)


def _from_level(readings: Sequence[float]) -> float:
    """The sum of the distances of the logarithms from their median."""
    logs = _logs(readings)
    middle = median(logs)
    return sum(abs(value - middle) for value in logs)


def _line(values: Sequence[float]) -> tuple[float, float]:
    """Slope and level of Theil's line. The slope is the median of those over half the length."""
    distance = (len(values) + 1) // 2
    slopes = [
        (later - value) / distance for value, later in zip(values, values[distance:], strict=False)
    ]
    slope = median(slopes)
    return slope, median(value - slope * place for place, value in enumerate(values))


def _logs(readings: Sequence[float]) -> list[float]:
    return [math.log(value) for value in readings]
