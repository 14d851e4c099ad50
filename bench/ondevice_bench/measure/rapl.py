"""RAPL: the energy of processor packages, in counters of the kernel."""

import time
from bisect import bisect_right
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ondevice_bench.measure.energy import EnergyUnavailable
from ondevice_bench.sensors.kernel_file import text_of

_POWERCAP = Path("/sys/class/powercap")
_STALLED_SECONDS = 1.0  # a counter rises every millisecond
_SUSPENDED_SECONDS = 0.01  # less than this is the time between the readings of two clocks


class Rapl:
    """Counters of processor packages below /sys/class/powercap, in microjoules. They wrap."""

    scope = "processor packages (RAPL), without memory and board"

    def __init__(self, root: Path = _POWERCAP) -> None:
        zones = sorted(root.glob("*-rapl:[0-9]*")) if root.is_dir() else []
        names = {zone: text_of(zone / "name") for zone in zones if zone.name.count(":") == 1}
        self._zones = [zone for zone, name in names.items() if name.startswith("package")]
        if not self._zones:
            raise EnergyUnavailable(f"{root} has no package of a RAPL")
        try:
            self.read()
        except OSError as error:
            raise EnergyUnavailable(f"{error.filename} cannot be read: {error.strerror}") from None
        self.wraps_at = [int(text_of(zone / "max_energy_range_uj") or 0) for zone in self._zones]

    def read(self) -> list[int]:
        """The counters now."""
        return [int((zone / "energy_uj").read_text()) for zone in self._zones]

    @contextmanager
    def begin(self) -> "Iterator[CountedJoules]":
        """Count from now on."""
        yield CountedJoules(self)


class CountedJoules:
    """The rise of the counters from mark to mark."""

    scope = Rapl.scope
    interval = 0.0

    def __init__(self, rapl: Rapl) -> None:
        self._rapl = rapl
        self._counters: list[int] | None = None
        self._moments: list[float] = []
        self._joules: list[float] = []
        self._suspended = suspended_seconds()
        self._failure = ""

    def mark(self) -> float:
        """Read the counters."""
        moment = time.perf_counter()
        slept = suspended_seconds() - self._suspended
        if slept > _SUSPENDED_SECONDS and not self._failure:
            # the counters may have begun again at 0, which looks as if they had wrapped
            self._failure = f"the machine was suspended for {slept:.3g} s while RAPL counted"
        if self._failure:
            return moment
        try:
            counters = self._rapl.read()
        except (OSError, ValueError) as error:
            self._failure = f"a counter of RAPL can no longer be read: {error}"
            return moment
        rise = 0
        for before, after, wraps_at in zip(
            self._counters or counters, counters, self._rapl.wraps_at, strict=True
        ):
            if after < before and not wraps_at:
                self._failure = "a counter of RAPL wrapped, and the kernel does not say where"
                return moment
            rise += after - before + (wraps_at if after < before else 0)
        self._counters = counters
        self._moments.append(moment)
        self._joules.append((self._joules[-1] if self._joules else 0.0) + rise / 1e6)
        return moment

    def settle(self) -> None:
        """Counters do not lag."""

    def tells_of(self, moment: float) -> bool:
        """Counters do not lag."""
        return True

    def joules(self, start: float, end: float) -> float:
        """The difference of the counters at two marks."""
        if self._failure:
            raise EnergyUnavailable(self._failure)
        spent = self._up_to(end) - self._up_to(start)
        if not self._joules[-1] or (not spent and end - start > _STALLED_SECONDS):
            raise EnergyUnavailable("the counters of RAPL do not rise")
        return spent

    def _up_to(self, moment: float) -> float:
        return self._joules[bisect_right(self._moments, moment) - 1]


def suspended_seconds() -> float:
    """The time since boot in which the machine was suspended."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) - time.clock_gettime(time.CLOCK_MONOTONIC)
