"""The context of the page in a few words: board, data, weights, rounds, and how calm it was."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from ondevice_bench import units
from ondevice_bench.analyse.summary import RunSummary
from ondevice_bench.analyse.usable_memory import usable_memory
from ondevice_bench.passes import BY_NAME, rounds_of


@dataclass(frozen=True)
class Chip:
    """One fact."""

    name: str
    text: str
    tone: Literal["plain", "good", "warning"] = "plain"


def chips(summary: RunSummary, workloads: Sequence[str]) -> tuple[Chip, ...]:
    """The facts that a reader needs to trust the page. Several workloads have tabs."""
    run = summary.run
    machine = run.machine
    board = machine["board"] or machine["cpu"] or machine["arch"]
    limit = usable_memory(run)
    cells = [cell.planned.cell for cell in summary.cells]
    return (
        Chip("measured on", f"{run.profile} ({board})"),
        *([Chip("memory for a step", units.size(limit))] if limit else []),
        *([Chip("workload", workloads[0])] if len(workloads) == 1 else []),
        Chip("data", _some(cell.data for cell in cells)),
        Chip("weights", _some(cell.weights for cell in cells)),
        Chip("processes of a cell", _rounds(summary)),
        _calm(summary),
    )


def _some(names: Iterable[str]) -> str:
    distinct = sorted(set(names))
    return ", ".join(distinct[:3]) + (f" and {len(distinct) - 3} more" if len(distinct) > 3 else "")


def _rounds(summary: RunSummary) -> str:
    settings = summary.run.settings
    counts = {
        name: rounds_of(name, settings["rounds"])
        for name in settings["measure"]
        if BY_NAME[name].rounds is not None
    }
    return ", ".join(f"{name} {count}" for name, count in counts.items()) or "1"


def _calm(summary: RunSummary) -> Chip:
    """Whether other processes disturbed the measurement."""
    measured = [cell for cell in summary.cells if cell.estimates]
    disturbed = sum(cell.is_disturbed for cell in measured)
    if disturbed:
        return Chip("machine", f"busy: {disturbed} of {len(measured)} cells disturbed", "warning")
    warnings = len(summary.notes) + (not summary.is_interleaved)
    if warnings:
        count = "1 warning" if warnings == 1 else f"{warnings} warnings"
        return Chip("machine", f"{count}, see the caveats", "warning")
    return Chip("machine", "calm", "good")
