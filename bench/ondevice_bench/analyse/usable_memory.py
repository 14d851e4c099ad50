"""The memory that a training step may use on the machine of a run."""

from ondevice_bench.record.model import Run
from ondevice_bench.suite.board import system_reserve
from ondevice_bench.units import GIB


def usable_memory(run: Run) -> int | None:
    """The memory cap of the run, or else the board's memory minus the share of the system.

    A container may allow less than the board has. The result is compared with a peak over the
    runtime floor, because the floor belongs to torch itself.
    """
    cap = run.settings.get("memory_cap_bytes")
    if cap is not None:
        return int(cap)
    memory, limit = run.machine.get("memory_gib"), run.settings.get("memory_limit_bytes")
    if memory is None:
        return None
    whole = int(memory * GIB) if limit is None else min(int(memory * GIB), limit)
    return (whole - system_reserve(whole)) or None
