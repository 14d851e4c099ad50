"""Whether boards learn alike: losses after the same steps on the same data, from the same seed."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ondevice_bench import metrics
from ondevice_bench.analyse.boards import boards
from ondevice_bench.analyse.summary import CellSummary, RunSummary
from ondevice_bench.passes import TRACE
from ondevice_bench.suite.cell import Cell

# rounding differs between boards, and the effect grows from step to step; a difference beyond the
# threshold of these metrics has another cause
LOSSES = ("loss_after_steps", "loss_after_training")


@dataclass(frozen=True)
class LossOnBoards:
    """The loss of a cell on each board; None if it was not measured there."""

    cell: Cell
    metric: metrics.Metric
    values: tuple[float | None, ...]
    same_start: bool | None  # whether batch and weights are the same bytes; None if unknown

    @property
    def spread(self) -> float:
        """The largest difference between two boards, as a share of the smaller loss."""
        found = [value for value in self.values if value is not None]
        low, high = min(found), max(found)
        return (high - low) / abs(low) if low else float(high > low)

    @property
    def is_alike(self) -> bool:
        """Whether rounding can explain the difference between the boards."""
        return self.spread <= self.metric.threshold


def losses_on_boards(summaries: Sequence[RunSummary]) -> tuple[LossOnBoards, ...]:
    """Every loss that at least two boards measured."""
    return tuple(_losses(summaries))


def _losses(summaries: Sequence[RunSummary]) -> Iterator[LossOnBoards]:
    for name in LOSSES:
        for row in boards(summaries, name):
            cells = [on.cell for on in row.boards]
            found = [cell.estimates.get(name) if cell else None for cell in cells]
            values = tuple(each.estimate if each else None for each in found)
            if sum(value is not None for value in values) > 1:
                start = _same_start([cell for cell in cells if cell is not None])
                yield LossOnBoards(row.cell, metrics.BY_NAME[name], values, start)


def _same_start(cells: Sequence[CellSummary]) -> bool | None:
    """Whether the trace passes saw the same batch and the same weights."""
    traced = [cell.details_of(TRACE) for cell in cells]
    hashes = {(each.batch_sha256, each.weights_sha256) for each in traced}
    return None if any("" in pair for pair in hashes) else len(hashes) == 1
