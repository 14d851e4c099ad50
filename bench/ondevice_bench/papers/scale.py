"""An axis for numbers of one kind: places in percent, and a few round ticks. Pure."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

MARGIN = 4.0  # percent of the axis that stays free at each end
_LEAST_RANGE = 4.0  # the highest number of an axis of ratios, over the lowest
_MANY = 3  # powers of ten from which an axis has only such ticks
_MOST_TICKS = 6
_STEP = 20  # percent, between two ticks of an axis of shares


@dataclass(frozen=True)
class Scale:
    """From a number to its place. On a logarithmic axis, equal factors are equally wide."""

    low: float
    high: float
    is_logarithmic: bool = True

    def place(self, value: float) -> float:
        """The place in percent from the left; what lies beyond the axis is at its end."""
        share = (self._at(value) - self._at(self.low)) / (self._at(self.high) - self._at(self.low))
        return round(MARGIN + (100 - 2 * MARGIN) * min(max(share, 0.0), 1.0), 2)

    def span(self, low: float, high: float) -> tuple[float, float]:
        """The left end and the width of an interval, in percent."""
        left, right = self.place(low), self.place(high)
        return left, round(right - left, 2)

    def ticks(self) -> tuple[float, ...]:
        """Round numbers on the axis, at most six."""
        found = [each for each in self._round() if self.low <= each <= self.high]
        step = math.ceil(len(found) / _MOST_TICKS)
        return tuple(found[::step])

    def _at(self, value: float) -> float:
        if not self.is_logarithmic:
            return value
        return math.log10(max(value, self.low))

    def _round(self) -> Iterator[float]:
        if not self.is_logarithmic:
            yield from range(math.ceil(self.low / _STEP) * _STEP, int(self.high) + 1, _STEP)
            return
        first, last = (math.floor(math.log10(each)) for each in (self.low, self.high))
        steps = (1,) if last - first > _MANY else (1, 2, 5)
        for power in range(first, last + 1):
            yield from (step * 10.0**power for step in steps)


def scale_of(values: Sequence[float], *, is_share: bool) -> Scale:
    """An axis for these numbers. Shares in percent have one from 0 to 100.

    If some are negative (more instead of less), it begins lower, at -100 at least.
    """
    if is_share:
        return Scale(max(-100.0, min([0.0, *values])), 100.0, is_logarithmic=False)
    positive = [value for value in values if value > 0] or [1.0]
    low, high = min(positive), max(positive)
    spread = max(1.0, math.sqrt(_LEAST_RANGE * low / high))
    return Scale(low / spread, high * spread)
