"""Foreign load: CPU time lost to other processes, to a hypervisor and to a quota.

The kernel counts most of it in ticks of 10 ms, so a few milliseconds mean nothing.
"""

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from ondevice_bench.measure import descendants
from ondevice_bench.sensors.control_groups import field, folders, quota
from ondevice_bench.suite.suite import DISTURBED_SHARE

_STAT = Path("/proc/stat")
_CGROUP = Path("/proc/self/cgroup")
_CGROUPS = Path("/sys/fs/cgroup")
_TICKS = os.sysconf("SC_CLK_TCK")
_IDLE, _IOWAIT, _STEAL = 3, 4, 7  # fields of /proc/stat; the others are user, nice, system, …
# counters in cpu.stat of a control group, of version 2 and of version 1: name, units in a second
_THROTTLED = (("throttled_usec", 1e6), ("throttled_time", 1e9))
_FIELDS = 8  # the field after these, guest, is a part of user

SLACK = 0.02  # seconds: the possible error of the ticks of two processors


@dataclass(frozen=True)
class Counters:
    """Seconds since boot, or since the process began. None: this machine has no such counter."""

    wall: float
    own: float  # CPU time of this process and of those that it started, such as a meter
    busy: float | None  # CPU time of all processes, with these
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
    def taken(self) -> float:
        """The seconds that others used or a quota took, with the error of the ticks.

        `foreign` may be negative: some guests count stolen time as that of their process.
        """
        return sum(max(0.0, each or 0.0) for each in (self.foreign, self.stolen, self.throttled))

    @property
    def lost(self) -> float:
        """The seconds that were surely lost: without the error of the ticks."""
        return max(0.0, self.taken - SLACK)

    @property
    def is_disturbing(self) -> bool:
        """Whether the load was so high that times measured under it mean little."""
        return self.lost > DISTURBED_SHARE * self.wall


def read() -> Counters:
    """Read the counters now."""
    busy, stolen = _cpu_seconds()
    own = time.process_time() + descendants.cpu_seconds()
    return Counters(time.perf_counter(), own, busy, stolen, _throttled())


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


def share_of_others(before: Counters, after: Counters) -> float | None:
    """The cores that other processes and hypervisors used meanwhile; None if unknown.

    It is for a curve and for long times: the error of the ticks is in it.
    """
    load = between(before, after)
    if load.foreign is None:
        return None
    return (max(0.0, load.foreign) + (load.stolen or 0.0)) / load.wall


def share_lost(loads: Sequence[ForeignLoad]) -> float | None:
    """The cores that were surely lost meanwhile; None if unknown.

    It is for short times: in them the error of the ticks looks like a disturbance.
    """
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
    counters = _quota_counters(_CGROUP, _CGROUPS)
    found = [(field(path, name), per_second) for path, name, per_second in counters]
    seconds = [count / per_second for count, per_second in found if count is not None]
    return sum(seconds) if seconds else None


@cache
def _quota_counters(own: Path, top: Path) -> tuple[tuple[Path, str, float], ...]:
    """The counters of the own group, and of each group around it that has a quota."""
    files = [folder / "cpu.stat" for folder in folders("cpu", own, top)]
    counters = [(file, *kind) for file in files for kind in _THROTTLED]
    found = [each for each in counters if field(*each[:2]) is not None]
    around = [each for each in found[1:] if quota(each[0].parent) is not None]
    return (*found[:1], *around)
