"""Whether the boards of a fleet are alike, judged by one cell that all of them measured."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from ondevice_bench.analyse.summary import CellSummary
from ondevice_bench.stats import Estimate, estimate

METRIC = "family_step_seconds"
TOLERANCE = 0.1  # a share of the median: boards of one kind differ by less
FEWEST = 3  # boards: of two, it is unknown which one is unusual
MOST_PROCESSES = 5  # of one board: a single process may be slow by chance


@dataclass(frozen=True)
class BoardInFamily:
    """A board, its step time of the shared cell, and how much of the run it measured."""

    unit: str
    step: Estimate | None  # None if it has not measured the shared cell
    compared: int  # how many processes measured the shared cell
    ratio: float | None  # over the median of all boards
    is_outside: bool
    processes: int  # how many measured cells of the run on this board


def unlike(seconds: Mapping[str, Sequence[float]]) -> dict[str, float]:
    """The boards that differ from the others in each of their processes, all in one direction.

    Each comes with its ratio to the median of all boards. Of two boards, each is compared with the
    other one.
    """
    middles = {board: median(each) for board, each in seconds.items()}
    found: dict[str, float] = {}
    for board, each in seconds.items():
        others = {name: middle for name, middle in middles.items() if name != board}
        compared = median((middles if len(middles) >= FEWEST else others).values() or [0.0])
        if compared <= 0:
            continue
        ratios = [value / compared for value in each]
        if min(ratios) > 1 + TOLERANCE or max(ratios) < 1 / (1 + TOLERANCE):
            found[board] = median(ratios)
    return found


def outside(seconds: Mapping[str, Sequence[float]]) -> dict[str, float]:
    """The boards out of family. If half of them differ, it is unknown which ones are unusual."""
    found = unlike(seconds)
    return found if len(seconds) >= FEWEST and 2 * len(found) < len(seconds) else {}


def boards_in_family(cells: Sequence[CellSummary]) -> tuple[BoardInFamily, ...]:
    """The boards of a run of several boards, in the order of their unit hashes."""
    timed: dict[str, list[Sequence[float]]] = defaultdict(list)  # the samples of each process
    processes: Counter[str] = Counter()
    for cell in cells:
        origins = cell.origins.get(METRIC, ())
        for (_, unit), samples in zip(origins, cell.samples.get(METRIC, ()), strict=True):
            timed[unit].append(samples)
        processes.update(cell.units)
    seconds = {unit: [median(each) for each in of_unit] for unit, of_unit in timed.items()}
    middles = {unit: median(each) for unit, each in seconds.items()}
    middle = median(middles.values()) if middles else 0.0
    far = outside(seconds)
    return tuple(
        BoardInFamily(
            unit,
            estimate(timed[unit]) if unit in timed else None,
            len(seconds.get(unit, ())),
            middles[unit] / middle if unit in middles and middle else None,
            unit in far,
            processes[unit],
        )
        for unit in sorted({*timed, *processes})
    )
