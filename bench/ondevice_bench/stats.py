"""Medians with intervals that assume no bell curve. Pure, standard library only."""

import itertools
import math
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from math import comb
from statistics import median
from typing import Literal

CONFIDENCE = 0.95
MOST_TIMES = 10.0  # narrower intervals than by this factor would take too many rounds
WIDEST = 4.0  # an interval whose ends differ by more than this factor says nothing
# the place of a ratio's interval, relative to a threshold on both sides of 1
Direction = Literal["less", "more", "same", "unknown"]


@dataclass(frozen=True, slots=True)
class Estimate:
    """A median with its interval. A missing bound is None; `basis` says how it was made."""

    estimate: float
    lower: float | None
    upper: float | None
    basis: str

    def to_dict(self) -> dict[str, float | str | None]:
        """The estimate as plain values."""
        return {
            "estimate": self.estimate,
            "lower": self.lower,
            "upper": self.upper,
            "basis": self.basis,
        }


def is_too_wide(estimate: Estimate) -> bool:
    """Whether the interval is too wide to say anything."""
    if estimate.lower is None or estimate.upper is None:
        return False
    return estimate.upper > WIDEST * max(estimate.lower, 0.0)


@cache
def order_ranks(count: int, confidence: float = CONFIDENCE) -> tuple[int, int] | None:
    """Ranks (from 0) of the order statistics that enclose the median with that confidence.

    P(x_(k) <= median <= x_(n-1-k)) = 1 - 2 P(Binomial(n, 1/2) <= k). None if n is too small.
    """
    tail = 0.0
    best = None
    ways, all_ways = 1, 1 << count  # integers, which may be larger than any float
    for low in range((count + 1) // 2):
        tail += ways / all_ways
        if 1 - 2 * tail < confidence:
            break
        best = low
        ways = ways * (count - low) // (low + 1)
    return None if best is None else (best, count - 1 - best)


def median_interval(samples: Sequence[float]) -> tuple[float, float] | None:
    """A 95 % interval of the median by order statistics; None for fewer than six samples."""
    return _interval(sorted(samples))


def _interval(ordered: Sequence[float]) -> tuple[float, float] | None:
    ranks = order_ranks(len(ordered))
    return None if ranks is None else (ordered[ranks[0]], ordered[ranks[1]])


def _middle(ordered: Sequence[float]) -> float:
    """The median of samples in their order."""
    half = len(ordered) // 2
    return ordered[half] if len(ordered) % 2 else (ordered[half - 1] + ordered[half]) / 2


def relative_precision(samples: Sequence[float]) -> float:
    """The larger half-width of the interval over the median; infinite if there is no interval."""
    bounds = median_interval(samples)
    middle = median(samples) if samples else 0.0
    if bounds is None or middle == 0:
        return float("inf")
    return max(middle - bounds[0], bounds[1] - middle) / abs(middle)


def estimate(rounds: Sequence[Sequence[float]]) -> Estimate:
    """The median over rounds of each round's median, from the raw samples of each round.

    One round has the order-statistic interval of its samples. Several rounds have the envelope of
    their intervals, because processes differ more than the samples of one process. If each round
    has one reading, the interval is that of the readings.
    """
    filled = [samples for samples in rounds if samples]
    if len(filled) > 1 and max(map(len, filled)) == 1:
        return estimate_readings([value for (value,) in filled], f"{len(filled)} processes")
    filled = [sorted(samples) for samples in filled]
    middle = median(map(_middle, filled))
    intervals = [_interval(ordered) for ordered in filled]
    if len(filled) == 1:
        bounds = intervals[0]
        if bounds is None:
            count = len(filled[0])
            sample_count = "one process" if count == 1 else f"{count} samples of one process"
            return Estimate(middle, None, None, f"{sample_count}: too few for an interval")
        return Estimate(middle, *bounds, f"95 % interval of {len(filled[0])} samples, one process")
    lows = [b[0] if b else s[0] for b, s in zip(intervals, filled, strict=True)]
    highs = [b[1] if b else s[-1] for b, s in zip(intervals, filled, strict=True)]
    reading_count = sum(len(samples) for samples in filled)
    basis = f"median of {len(filled)} rounds' medians, envelope of their intervals"
    return Estimate(middle, min(lows), max(highs), f"{basis} ({reading_count} readings)")


def estimate_readings(values: Sequence[float], origin: str) -> Estimate:
    """The median with its 95 % interval. Below six readings: the lowest and the highest."""
    ordered = sorted(values)
    bounds, middle = _interval(ordered), _middle(ordered)
    if bounds is not None:
        return Estimate(middle, *bounds, f"95 % interval of {origin}")
    basis = f"median of {origin}, lowest and highest"
    return Estimate(middle, ordered[0], ordered[-1], basis)


@dataclass(frozen=True)
class Change:
    """The ratio of new to base, its interval, and the direction of the change."""

    ratio: float
    lower: float
    upper: float
    direction: Direction


def change(
    base: Sequence[float], new: Sequence[float], threshold: float, confidence: float = CONFIDENCE
) -> Change:
    """The change between rounds that ran in pairs. Its direction is `unknown` without an interval.

    The interval is Wilcoxon's, for the median of the log ratios. It assumes that the ratios are
    symmetric around the median, but no bell curve.
    """
    logs = [math.log(after) - math.log(before) for before, after in zip(base, new, strict=True)]
    averages = sorted(
        (one + other) / 2 for place, one in enumerate(logs) for other in logs[: place + 1]
    )
    ratio = _ratio(median(averages))
    cut = _signed_rank_cut(len(logs), confidence)
    if cut is None:
        return Change(ratio, 0.0, math.inf, "unknown")
    lower, upper = _ratio(averages[cut]), _ratio(averages[-1 - cut])
    return Change(ratio, lower, upper, direction_of(lower, upper, threshold))


def _ratio(log: float) -> float:
    """The ratio of a logarithm; infinite if no number is large enough."""
    try:
        return math.exp(log)
    except OverflowError:
        return math.inf


def is_look(count: int, fewest: int) -> bool:
    """Whether to judge after so many rounds. Each look comes after a quarter more rounds.

    Judging after every round would raise more false alarms than the confidence allows.
    """
    look = fewest
    while look < count:
        look = max(look + 1, look * 5 // 4)
    return look == count


def shift(
    base: Sequence[float], new: Sequence[float], threshold: float, confidence: float = CONFIDENCE
) -> Change:
    """The change between rounds that did not run in pairs.

    The interval is Mann and Whitney's, for the shift of the logarithms. It assumes that both sides
    have distributions of the same shape. It cannot see a drift of the machine between the sides.
    """
    before, after = ([math.log(value) for value in side] for side in (base, new))
    ratios = sorted(late - early for early in before for late in after)
    ratio = _ratio(median(ratios))
    cut = _rank_sum_cut(len(base), len(new), confidence)
    if cut is None:
        return Change(ratio, 0.0, math.inf, "unknown")
    lower, upper = _ratio(ratios[cut]), _ratio(ratios[-1 - cut])
    return Change(ratio, lower, upper, direction_of(lower, upper, threshold))


@cache
def fewest_rounds(confidence: float) -> int:
    """The fewest rounds on each side for which `shift` has an interval of that confidence."""
    return next(n for n in range(1, 100) if _rank_sum_cut(n, n, confidence) is not None)


@cache
def fewest_pairs(confidence: float) -> int:
    """The fewest pairs of rounds for which `change` has an interval of that confidence."""
    return next(n for n in itertools.count(1) if 2 * 0.5**n <= 1 - confidence)


@cache
def more_rounds(base: int, new: int, confidence: float) -> int:
    """How many more rounds the new side needs for an interval of that confidence.

    The widest interval goes from the lowest to the highest ratio. Only two of all orders of the
    readings are outside it. One round on a side may need many thousands on the other.
    """

    def is_enough(more: int) -> bool:
        return 1 - 2 / comb(base + new + more, base) >= confidence

    most = 1
    while not is_enough(most):
        most *= 2
    return bisect_left(range(most), True, key=is_enough)


def rounds_to_decide(change: Change, rounds: int, threshold: float) -> int | None:
    """About how many rounds would decide an interval that is undecided after so many.

    The width of an interval falls with the root of the rounds. It is decided when its half width is
    the distance from the ratio to the nearest threshold. None if there is no interval yet, or if
    the ratio lies on a threshold.
    """
    if not 0 < change.lower <= change.upper < math.inf:
        return None
    limit, place = math.log1p(threshold), math.log(change.ratio)
    distance = abs(abs(place) - limit)
    half = max(math.log(change.upper) - place, place - math.log(change.lower))
    if distance * MOST_TIMES < half:
        return None
    return math.ceil(rounds * max(1.0, half / distance) ** 2)


def direction_of(lower: float, upper: float, threshold: float) -> Direction:
    """The direction that the interval of a ratio proves.

    `less` and `more` need the whole interval beyond the threshold. `same` needs the whole interval
    within it.
    """
    if lower > 1 + threshold:
        return "more"
    if upper < 1 / (1 + threshold):
        return "less"
    return "same" if 1 / (1 + threshold) <= lower and upper <= 1 + threshold else "unknown"


@cache
def _signed_rank_cut(count: int, confidence: float) -> int | None:
    """How many Walsh averages to cut off at each end; None if no interval has that confidence.

    P(W <= k) of the signed-rank sum W, counted over all 2^n signs.
    """
    ways = [1]
    for rank in range(1, count + 1):
        wider = [0] * (len(ways) + rank)
        for total, count_of_ways in enumerate(ways):
            wider[total] += count_of_ways
            wider[total + rank] += count_of_ways
        ways = wider
    return _cut(ways, confidence)


@cache
def _rank_sum_cut(one: int, other: int, confidence: float) -> int | None:
    """How many ratios to cut off at each end; None if no interval has that confidence.

    P(U <= k) of Mann and Whitney's U, counted over all orders of both sides. The counts are the
    coefficients of the product over i of (1 - q^(other+i)) / (1 - q^i).
    """
    if not one or not other:
        return None
    ways = [1] + [0] * (one * other)
    for place in range(1, one + 1):
        for total in range(len(ways) - 1, other + place - 1, -1):
            ways[total] -= ways[total - other - place]
        for total in range(place, len(ways)):
            ways[total] += ways[total - place]
    return _cut(ways, confidence)


def _cut(ways: Sequence[int], confidence: float) -> int | None:
    """The largest k for which 1 - 2 P(statistic <= k) reaches the confidence."""
    all_ways, tail, cut = sum(ways), 0, None
    for total, count_of_ways in enumerate(ways):
        tail += count_of_ways
        if 1 - 2 * tail / all_ways < confidence:
            break
        cut = total
    return cut
