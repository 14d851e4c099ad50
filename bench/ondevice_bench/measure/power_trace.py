"""Watts over time, as a meter prints them: one line `seconds watts` for each reading.

The seconds are by the meter's own clock, from any beginning. They become ours by the smallest
delay between a reading and the moment at which its line arrived.
"""

import math
from array import array
from bisect import bisect_left, bisect_right
from itertools import pairwise
from statistics import median

MOST_READINGS = 1_000_000
STALLED_SECONDS = 3.0  # a stall is a gap that is longer than this, and
STALLED_GAPS = 5  # longer than this many usual gaps
# the meter's clock may differ from ours by this: seconds, and a share. Lines may arrive late
SLACK_SECONDS, SLACK = 2.0, 0.05
_MOST_SHOWN = 40  # letters of a line in a message


class BadReading(ValueError):
    """The meter printed something else than `seconds watts`. The text says what."""


class Stalled(ValueError):
    """The meter gave no readings for some time. The text says when and how long."""


class PowerTrace:
    """The readings of a meter. Between two of them the power is a straight line."""

    def __init__(self) -> None:
        self._seconds = array("d")
        self._watts = array("d")
        self._joules = array("d")  # from the first reading up to each
        self._delay = math.inf
        self._arrived = math.inf, -math.inf  # the first line, and the last one
        self._usual: tuple[int, float | None] = 0, None  # number of readings, their interval

    def __len__(self) -> int:
        return len(self._seconds)

    def add(self, line: str, arrived: float) -> None:
        """Add the reading of a line; BadReading if it has none. Comments and blanks have none."""
        words = line.partition("#")[0].split()
        if not words:
            return
        seconds, watts = _numbers(words, line)
        if self._seconds and seconds <= self._seconds[-1]:
            raise BadReading(f"the meter's seconds do not rise: {seconds:g} after {self._last:g}")
        if len(self) >= MOST_READINGS:
            raise BadReading(f"the meter printed more than {MOST_READINGS:,} readings")
        joules = 0.0
        if self._seconds:
            mean = (self._watts[-1] + watts) / 2
            joules = self._joules[-1] + mean * (seconds - self._last)
        self._seconds.append(seconds)
        self._watts.append(watts)
        self._joules.append(joules)
        self._delay = min(self._delay, arrived - seconds)
        self._arrived = min(self._arrived[0], arrived), arrived

    def reaches(self, moment: float) -> bool:
        """Whether there is a reading from this moment, by our clock, or from a later one."""
        return bool(self._seconds) and self._last + self._delay >= moment

    def joules(self, start: float, end: float) -> float:
        """The energy between two moments of our clock; Stalled if the readings have a hole there.

        Before the first reading and after the last one, the power is that of this reading.
        """
        if not self._seconds:
            raise Stalled("the meter gave no reading")
        self._require_our_speed()
        first, last = start - self._delay, end - self._delay
        self._require_readings(first, last)
        if not any(self._watts):
            raise Stalled("the meter gave nothing but 0 watts, which no running machine takes")
        return self._up_to(last) - self._up_to(first)

    @property
    def interval(self) -> float | None:
        """The usual time between two readings."""
        count, usual = self._usual
        if count != len(self):
            pairs = pairwise(self._seconds)
            gaps = [after - before for before, after in pairs]
            usual = median(gaps) if gaps else None
            self._usual = len(self), usual
        return usual

    @property
    def resolution(self) -> float | None:
        """The smallest difference between two readings, in watts."""
        values = sorted(set(self._watts))
        pairs = pairwise(values)
        return min((high - low for low, high in pairs), default=None)

    @property
    def longest_gap(self) -> float:
        """The time without a reading after which the meter has stalled."""
        return max(STALLED_SECONDS, STALLED_GAPS * (self.interval or 0.0))

    @property
    def _last(self) -> float:
        return self._seconds[-1]

    def _require_our_speed(self) -> None:
        """Stalled if the meter's clock does not run as ours: its seconds may be milliseconds."""
        own, ours = self._last - self._seconds[0], self._arrived[1] - self._arrived[0]
        if abs(own - ours) > SLACK_SECONDS + SLACK * ours + 2 * (self.interval or 0.0):
            raise Stalled(f"the meter counted {own:.4g} seconds while {ours:.3g} seconds passed")

    def _require_readings(self, first: float, last: float) -> None:
        """Stalled if there is a hole between these moments of the meter's clock."""
        low, high = bisect_right(self._seconds, first), bisect_left(self._seconds, last)
        moments = [
            self._seconds[low - 1] if low else first,
            *self._seconds[low:high],
            self._seconds[high] if high < len(self) else last,
        ]
        pairs = pairwise(moments)
        widest, where = max((after - before, before) for before, after in pairs)
        if widest > self.longest_gap:
            raise Stalled(
                f"the meter gave no reading for {widest:.1f} s, {max(0.0, where - first):.1f} s "
                "after the beginning"
            )

    def _up_to(self, moment: float) -> float:
        """Joules from the first reading to this moment of the meter's clock."""
        place = bisect_right(self._seconds, moment)
        if place == 0:
            return -self._watts[0] * (self._seconds[0] - moment)
        since = moment - self._seconds[place - 1]
        watts = self._watts[place - 1]
        if place < len(self):
            gap = self._seconds[place] - self._seconds[place - 1]
            slope = (self._watts[place] - watts) / gap
            return self._joules[place - 1] + (watts + slope * since / 2) * since
        return self._joules[-1] + watts * since


def _numbers(words: list[str], line: str) -> tuple[float, float]:
    shown = line.strip()[:_MOST_SHOWN]
    try:
        seconds, watts = map(float, words)
    except ValueError:
        raise BadReading(f"the meter printed {shown!r}, not `seconds watts`") from None
    if not math.isfinite(seconds) or not math.isfinite(watts) or watts < 0:
        raise BadReading(f"the meter printed {shown!r}, which is not a power at one moment")
    return seconds, watts
