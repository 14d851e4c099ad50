"""How calm the machine was while it measured."""

from collections.abc import Sequence
from statistics import median

from ondevice_bench import units
from ondevice_bench.analyse.choice import STEP
from ondevice_bench.analyse.summary import CellSummary, RunSummary
from ondevice_bench.passes import ENERGY
from ondevice_bench.suite.labels import labelled

SPREAD = 1.2  # times of equal steps that differ by more hide the differences of methods


def about_calm(one: RunSummary) -> str:
    """What it means that others disturbed the times, or that the times vary."""
    if disturbed := disturbed_cells(one):
        return (
            f"{disturbed} disturbed (see below). Peaks, bytes and FLOPs come from other processes, "
            "and count only what a process itself has or does"
        )
    spread = spread_of_steps(one)
    if spread > SPREAD:
        seen = ", although no other program was seen meanwhile" if one.is_watched else ""
        return (
            f"the step times of a cell vary by {units.ratio(spread)} (from the lower to the upper "
            f"end of the interval; the median of all cells){seen}. Smaller differences between "
            "methods can hardly be proven here"
        )
    return ""


def disturbed_cells(summary: RunSummary) -> str:
    """Of which cells others disturbed the times or energies; empty if there is none."""
    measured = [cell for cell in summary.cells if cell.estimates]
    disturbed = [cell for cell in measured if cell.is_disturbed]
    if not disturbed:
        return ""
    passes = set().union(*(cell.disturbed for cell in disturbed))
    what = "energies" if passes == {ENERGY} else "times"
    return f"{what} of {which(disturbed, measured)}"


def which(those: Sequence[CellSummary], measured: Sequence[CellSummary]) -> str:
    """The number of cells. A single one of a workload has a short name."""
    workload, *others = labelled(cell.planned.cell for cell in measured)
    if len(those) > 1 or len(measured) == 1 or others:
        return f"{len(those)} of {len(measured)} cells"
    return workload.labels[workload.cells.index(those[0].planned.cell)]


def spread_of_steps(summary: RunSummary) -> float:
    """The highest end of a cell's step time over the lowest end: the median of all cells."""
    steps = (cell.estimates.get(STEP) for cell in summary.cells)
    ratios = [step.upper / step.lower for step in steps if step and step.lower and step.upper]
    return median(ratios) if ratios else 1.0
