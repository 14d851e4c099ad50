"""Whether the boards of a fleet are alike, judged by one cell that all of them measured."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from ondevice_bench.analyse.summary import CellSummary
from ondevice_bench.stats import Estimate, estimate

METRIC = "family_step_seconds"
TOLERANCE = 0.1  # a share of the median: boards of one kind differ by less
FEWEST = 3  # boards: of two, nobody knows which one is unusual


@dataclass(frozen=True)
class BoardInFamily:
    """A board, its step time of the shared cell, and how much of the run it measured."""

    unit: str
    step: Estimate | None  # None if it has not measured the shared cell
    ratio: float | None  # over the median of all boards
    is_outside: bool
    processes: int  # how many measured cells of the run on this board


def outside(seconds: Mapping[str, float]) -> dict[str, float]:
    """The boards that are not like the others, with their ratio to the median of all boards."""
    middle = median(seconds.values()) if seconds else 0.0
    if len(seconds) < FEWEST or middle <= 0:
        return {}
    limit = math.log1p(TOLERANCE)
    ratios = {board: value / middle for board, value in seconds.items()}
    return {
        board: ratio
        for board, ratio in ratios.items()
        if ratio <= 0 or abs(math.log(ratio)) > limit
    }


def boards_in_family(cells: Sequence[CellSummary]) -> tuple[BoardInFamily, ...]:
    """The boards of a run of several boards, in the order of their unit hashes."""
    steps: dict[str, Estimate] = {}
    processes: Counter[str] = Counter()
    for cell in cells:
        origins = cell.origins.get(METRIC, ())
        for (_, unit), samples in zip(origins, cell.samples.get(METRIC, ()), strict=True):
            steps[unit] = estimate([samples])
        processes.update(cell.units)
    middles = {unit: each.estimate for unit, each in steps.items()}
    middle = median(middles.values()) if middles else 0.0
    far = outside(middles)
    return tuple(
        BoardInFamily(
            unit,
            steps.get(unit),
            middles[unit] / middle if unit in middles and middle else None,
            unit in far,
            processes[unit],
        )
        for unit in sorted({*steps, *processes})
    )
