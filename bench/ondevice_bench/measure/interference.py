"""Foreign load: CPU time lost to other processes, to a hypervisor and to a quota.

The kernel counts most of it in ticks of 10 ms, so a few milliseconds mean nothing.
"""

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from ondevice_bench.suite.suite import DISTURBED_SHARE

_STAT = Path("/proc/stat")
_CGROUP = Path("/proc/self/cgroup")
_CGROUPS = Path("/sys/fs/cgroup")
_TICKS = os.sysconf("SC_CLK_TCK")
_IDLE, _IOWAIT, _STEAL = 3, 4, 7  # fields of /proc/stat; the others are user, nice, system, …
_FIELDS = 8  # the field after these, guest, is a part of user

SLACK = 0.02  # seconds: the possible error of the ticks of two processors


@dataclass(frozen=True)
class Counters:
    """Seconds since boot, or since the process began. None: this machine has no such counter."""

    wall: float
    own: float
    busy: float | None  # CPU time of all processes, with this one
    stolen: float | None  # CPU time that a hypervisor used
    throttled: float | None  # time in which the quota of the control group stopped the process


@dataclass(frozen=True)
class ForeignLoad:
    """The load between two readings of the counters, in seconds."""

    wall: float
    foreign: float | None
    stolen: float | None
    throttled: float | None

    @property
    def lost(self) -> float:
        """The seconds that were surely lost: more than the possible error of the ticks."""
        lost = sum(seconds for seconds in (self.foreign, self.stolen, self.throttled) if seconds)
        return max(0.0, lost - SLACK)

    @property
    def is_disturbing(self) -> bool:
        """Whether the load was so high that times measured under it mean little."""
        return self.lost > DISTURBED_SHARE * self.wall


def read() -> Counters:
    """Read the counters now."""
    busy, stolen = _cpu_seconds()
    return Counters(time.perf_counter(), time.process_time(), busy, stolen, _throttled())


def between(before: Counters, after: Counters) -> ForeignLoad:
    """The load between two readings."""

    def rise(first: float | None, second: float | None) -> float | None:
        return None if first is None or second is None else second - first

    busy = rise(before.busy, after.busy)
    return ForeignLoad(
        wall=after.wall - before.wall,
        foreign=None if busy is None else busy - (after.own - before.own),
        stolen=rise(before.stolen, after.stolen),
        throttled=rise(before.throttled, after.throttled),
    )


def share(loads: Sequence[ForeignLoad]) -> float | None:
    """The cores that were lost meanwhile; None if this machine cannot tell."""
    wall = sum(load.wall for load in loads)
    if wall <= 0 or any(load.foreign is None for load in loads):
        return None
    return sum(load.lost for load in loads) / wall


def _cpu_seconds() -> tuple[float | None, float | None]:
    try:
        with _STAT.open() as file:
            ticks = [int(word) for word in file.readline().split()[1 : 1 + _FIELDS]]
    except (OSError, ValueError):
        return None, None
    if len(ticks) < _FIELDS:
        return None, None
    idle = ticks[_IDLE] + ticks[_IOWAIT] + ticks[_STEAL]
    return (sum(ticks) - idle) / _TICKS, ticks[_STEAL] / _TICKS


def _throttled() -> float | None:
    counter = _quota_counter(_CGROUP, _CGROUPS)
    return None if counter is None else _field(*counter)


@cache
def _quota_counter(groups: Path, root: Path) -> tuple[Path, str, float] | None:
    """The counter of this process's quota, in control groups of either version."""
    try:
        lines = groups.read_text().splitlines()
    except OSError:
        return None
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            counter = (root / path.lstrip("/") / "cpu.stat", "throttled_usec", 1e6)
        elif "cpu" in controllers.split(","):
            counter = (root / "cpu" / path.lstrip("/") / "cpu.stat", "throttled_time", 1e9)
        else:
            continue
        if _field(*counter) is not None:
            return counter
    return None


def _field(path: Path, name: str, per_second: float) -> float | None:
    try:
        lines = path.read_text().splitlines()
    except OSError:
        return None
    for line in lines:
        if line.startswith(f"{name} "):
            return int(line.split()[1]) / per_second
    return None
