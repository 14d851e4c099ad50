"""The share of the memory that a step may use: of what it is, and whether to show it."""

from collections.abc import Iterable

from ondevice_bench import units
from ondevice_bench.analyse.choice import PEAK
from ondevice_bench.analyse.groups import CellWithBaseline
from ondevice_bench.analyse.summary import CellSummary, RunSummary
from ondevice_bench.analyse.usable_memory import allocated_by_torch, memory_cap, usable_memory

FLOOR = "runtime_floor_bytes"  # a process that has only loaded torch
SMALL = 0.01  # if all peaks of a run are below this share, the shares tell no method from another


def share_of(member: CellWithBaseline, limit: int) -> str:
    """The peak as a share of the memory that a step may use."""
    peak = member.cell.estimates[PEAK].estimate
    return units.share(peak, limit)


def limit_of_shares(summary: RunSummary) -> int | None:
    """The memory that the shares of a run are of.

    None if it is not known, or if one sentence says enough.
    """
    limit = usable_memory(summary)
    return None if limit is None or _are_small(summary, limit) else limit


def head_of_shares(summary: RunSummary) -> str:
    """The head of a column of shares; empty if the memory is not known, or no peak."""
    limit = usable_memory(summary)
    if limit is None or not any(PEAK in cell.estimates for cell in summary.cells):
        return ""
    size = units.size(limit)
    small = f"all below {SMALL * 100:g} % of {size}"
    return small if _are_small(summary, limit) else f"share of {size}"


def about_shares(summary: RunSummary) -> str:
    """What the shares of peaks are of: the memory that a step may use in this run."""
    cap, of_torch, limit = memory_cap(summary), allocated_by_torch(summary), usable_memory(summary)
    if cap is not None and of_torch is None:
        return (
            f"There is no share: the memory cap of {units.size(cap)} counts what torch itself "
            "allocates, too, and this run did not measure that."
        )
    if limit is None:
        return "There is no share: the memory of the board is not known."
    what = f"the {units.size(limit)} that a step may use"
    text = (
        f"Every peak here is less than {SMALL * 100:g} % of {what}."
        if _are_small(summary, limit)
        else f"The share is of {what}."
    )
    if cap is not None and of_torch is not None and limit == cap - of_torch:
        return (
            f"{text} That is the memory cap of {units.size(cap)} minus the {units.size(of_torch)} "
            "that torch itself allocates. The cap does not count the code of libraries."
        )
    return (
        f"{text} The system and torch get the rest of the board or its container: 512 MiB, or half "
        "of a memory below 1 GiB."
    )


def about_torch(summary: RunSummary) -> str:
    """What no peak has: the memory of torch itself, if the run measured it."""
    floor = floor_text(summary.cells)
    return f"No peak includes torch itself: {floor} with its libraries." if floor else ""


def floor_text(cells: Iterable[CellSummary]) -> str:
    """The memory of a process that has only loaded torch; empty if these cells do not have it."""
    floors = [cell.estimates[FLOOR].estimate for cell in cells if FLOOR in cell.estimates]
    return units.mib(min(floors)) if floors else ""


def _are_small(summary: RunSummary, limit: int) -> bool:
    """Whether all peaks of the run, with their intervals, are a small share of the limit."""
    peaks = [cell.estimates[PEAK] for cell in summary.cells if PEAK in cell.estimates]
    highest = max((max(each.estimate, each.upper or 0.0) for each in peaks), default=None)
    return highest is not None and highest < SMALL * limit
