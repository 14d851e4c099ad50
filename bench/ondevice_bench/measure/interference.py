"""What else the machine did meanwhile: CPU time of others, of a hypervisor, of a quota.

The kernel counts most of it in ticks of 10 ms, so a figure of a few milliseconds means nothing.
"""

import os
import time
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from ondevice_bench.suite.suite import DISTURBED_SHARE

_STAT = Path("/proc/stat")
_CGROUP = Path("/proc/self/cgroup")
_CGROUPS = Path("/sys/fs/cgroup")
_TICKS = os.sysconf("SC_CLK_TCK")
_IDLE, _IOWAIT, _STEAL = 3, 4, 7  # fields of /proc/stat; user, nice, system, … lie around them
_FIELDS = 8  # guest, after them, is within user

SLACK = 0.02  # seconds that the ticks of two processors may be off


@dataclass(frozen=True)
class Counters:
    """Seconds since boot, or since the process began; None where this machine does not tell."""

    wall: float
    own: float
    busy: float | None  # of all processes, this one included
    stolen: float | None  # taken by a hypervisor
    throttled: float | None  # waited for a quota of the process's control group


@dataclass(frozen=True)
class Meanwhile:
    """What happened between two readings, in seconds."""

    wall: float
    foreign: float | None
    stolen: float | None
    throttled: float | None

    @property
    def disturbed(self) -> bool:
        """Whether others took so much that a time measured meanwhile means little."""
        taken = sum(found for found in (self.foreign, self.stolen, self.throttled) if found)
        return taken - SLACK > DISTURBED_SHARE * self.wall


def read() -> Counters:
    """Read the counters now."""
    busy, stolen = _cpu_seconds()
    return Counters(time.perf_counter(), time.process_time(), busy, stolen, _throttled())


def between(before: Counters, after: Counters) -> Meanwhile:
    """What happened between two readings."""

    def rise(first: float | None, second: float | None) -> float | None:
        return None if first is None or second is None else second - first

    busy = rise(before.busy, after.busy)
    return Meanwhile(
        wall=after.wall - before.wall,
        foreign=None if busy is None else busy - (after.own - before.own),
        stolen=rise(before.stolen, after.stolen),
        throttled=rise(before.throttled, after.throttled),
    )


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
    found = _quota(_CGROUP, _CGROUPS)
    return None if found is None else _field(*found)


@cache
def _quota(groups: Path, root: Path) -> tuple[Path, str, float] | None:
    """Where this process's quota is counted, in control groups of either version."""
    try:
        lines = groups.read_text().splitlines()
    except OSError:
        return None
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            counted = (root / path.lstrip("/") / "cpu.stat", "throttled_usec", 1e6)
        elif "cpu" in controllers.split(","):
            counted = (root / "cpu" / path.lstrip("/") / "cpu.stat", "throttled_time", 1e9)
        else:
            continue
        if _field(*counted) is not None:
            return counted
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
