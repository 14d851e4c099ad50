"""The memory that a training step may use over the runtime floor: in a run, and on a board."""

from ondevice_bench.analyse.summary import RunSummary
from ondevice_bench.suite.board import system_reserve
from ondevice_bench.units import GIB

_ALLOCATED = "runtime_allocated_bytes"


def usable_memory(summary: RunSummary) -> int | None:
    """What a step may use in a run: the lower one of what its board and its memory cap leave.

    None if this is not known, for example under a cap in a run that does not say what torch takes.
    """
    whole, cap = _whole(summary), memory_cap(summary)
    limits = [] if whole is None else [usable_of(whole)]
    if cap is not None:
        of_torch = allocated_by_torch(summary)
        if of_torch is None:
            return None
        limits.append(max(0, cap - of_torch))
    return min(limits, default=0) or None


def usable_of(memory_bytes: int) -> int:
    """What a step may use of a board's memory: all but the share of the system and torch."""
    return memory_bytes - system_reserve(memory_bytes)


def memory_cap(summary: RunSummary) -> int | None:
    """The memory that a worker of the run may allocate; None without a cap."""
    cap = summary.run.settings.get("memory_cap_bytes")
    return None if cap is None else int(cap)


def allocated_by_torch(summary: RunSummary) -> int | None:
    """The part of a memory cap that torch itself takes: the highest of all cells.

    None if no cell has it. A run of an earlier version did not measure it.
    """
    known = (cell.estimates.get(_ALLOCATED) for cell in summary.cells)
    return max((round(each.estimate) for each in known if each is not None), default=None)


def _whole(summary: RunSummary) -> int | None:
    """The memory of the board. A container may allow less than the board has."""
    memory = summary.run.machine.get("memory_gib")
    if memory is None:
        return None
    limit = summary.run.settings.get("memory_limit_bytes")
    return int(memory * GIB) if limit is None else min(int(memory * GIB), limit)
