"""The control groups of this process, of either version, and what they allow it.

A limit of a group holds for all groups inside it. So the groups around the own one count, too. A
container often shows its own group as the top one: then only the top one is there to be read.
"""

from collections.abc import Iterator
from pathlib import Path

from ondevice_bench.sensors.kernel_file import text_of

OWN, TOP = "proc/self/cgroup", "sys/fs/cgroup"
_UNLIMITED = 1 << 60  # version 1 writes a number near 2 ** 63 if there is no limit
_ROOM = {  # by the file with the limit: the file with the usage, and the memory that can be freed
    "memory.max": ("memory.current", "inactive_file"),
    "memory.limit_in_bytes": ("memory.usage_in_bytes", "total_inactive_file"),
}


def folders(controller: str, own: Path, top: Path) -> tuple[Path, ...]:
    """The groups of a controller, each before those around it.

    `own` is the file in which the kernel names the groups of this process. `top` has all groups.
    """
    lines = [line.split(":", 2) for line in text_of(own).splitlines() if line.count(":") > 1]
    found: list[Path] = []
    for _, controllers, path in [*lines, ["", controller, "/"], ["", "", "/"]]:
        if controllers and controller not in controllers.split(","):
            continue
        base, parts = top / controller if controllers else top, Path(path).parts[1:]
        if ".." in parts:  # the group is outside of what this process can see
            continue
        found += [base.joinpath(*parts[:count]) for count in range(len(parts), -1, -1)]
    return tuple(folder for folder in dict.fromkeys(found) if folder.is_dir())


def processors(root: Path = Path("/")) -> float | None:
    """The processors whose time the groups allow; None without a limit."""
    quotas = map(quota, folders("cpu", root / OWN, root / TOP))
    return min((each for each in quotas if each is not None), default=None)


def quota(folder: Path) -> float | None:
    """The processors of one group. A group without a limit says `max` or -1."""
    allowed, _, period = text_of(folder / "cpu.max").partition(" ")
    if not period:
        allowed, period = (text_of(folder / f"cpu.cfs_{name}_us") for name in ("quota", "period"))
    limits = allowed.isdecimal() and period.isdecimal() and int(period)
    return int(allowed) / int(period) if limits else None


def memory_limit(root: Path = Path("/")) -> int | None:
    """The bytes that the groups allow; None without a limit."""
    return min((limit for _, _, limit in _memory_limits(root)), default=None)


def memory_available(root: Path = Path("/")) -> int | None:
    """The bytes that the groups still allow, with caches that can be freed; None without limits."""
    left = []
    for folder, name, limit in _memory_limits(root):
        usage, freed = _ROOM[name]
        used = _number(folder / usage)
        if used is not None:
            cached = field(folder / "memory.stat", freed) or 0
            left.append(max(0, limit - max(0, used - cached)))
    return min(left, default=None)


def field(path: Path, name: str) -> int | None:
    """A number in a file of lines `name number`; None if the file or the line is missing."""
    for line in text_of(path).splitlines():
        word, _, value = line.partition(" ")
        if word == name and value.isdecimal():
            return int(value)
    return None


def _memory_limits(root: Path) -> Iterator[tuple[Path, str, int]]:
    for folder in folders("memory", root / OWN, root / TOP):
        for name in _ROOM:
            limit = _number(folder / name)
            if limit is not None and limit < _UNLIMITED:
                yield folder, name, limit


def _number(path: Path) -> int | None:
    text = text_of(path)
    return int(text) if text.isdecimal() else None
