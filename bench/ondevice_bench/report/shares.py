"""The share of the memory that a step may use: of what it is, and whether to show it."""

from ondevice_bench import units
from ondevice_bench.analyse.choice import PEAK
from ondevice_bench.analyse.groups import CellWithBaseline
from ondevice_bench.analyse.summary import RunSummary
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
    floors = (cell.estimates.get(FLOOR) for cell in summary.cells)
    known = [each.estimate for each in floors if each is not None]
    return f"No peak has the {units.mib(min(known))} of torch itself." if known else ""


def _are_small(summary: RunSummary, limit: int) -> bool:
    """Whether all peaks of the run, with their intervals, are a small share of the limit."""
    peaks = [cell.estimates[PEAK] for cell in summary.cells if PEAK in cell.estimates]
    highest = max((max(each.estimate, each.upper or 0.0) for each in peaks), default=None)
    return highest is not None and highest < SMALL * limit
