"""The same cells on several boards: ratios within each board, and ratios between boards."""

from collections.abc import Sequence
from dataclasses import dataclass

from ondevice_bench.analyse.choice import direction
from ondevice_bench.analyse.groups import CellWithBaseline, groups
from ondevice_bench.analyse.ratios import between_boards
from ondevice_bench.analyse.summary import CellSummary, RunSummary
from ondevice_bench.stats import Direction, Estimate
from ondevice_bench.suite.cell import Cell


@dataclass(frozen=True)
class CellOnBoard:
    """A cell on one board. `cell` is None if the board did not plan it."""

    cell: CellSummary | None
    member: CellWithBaseline | None  # the cell with its baseline; None if it is the baseline
    metric: str

    @property
    def ratio(self) -> Estimate | None:
        """The metric as a multiple of the baseline's on the same board."""
        return None if self.member is None else self.member.ratio(self.metric)

    @property
    def direction(self) -> Direction:
        """Whether the ratio is proven to be better, worse or the same."""
        return "unknown" if self.member is None else direction(self.member, self.metric)

    @property
    def why_not(self) -> str:
        """Why the board has no ratio for this cell."""
        if self.cell is None:
            return "not in that run"
        return "; ".join(self.cell.problems) or self.cell.status


@dataclass(frozen=True)
class BoardRow:
    """A workload on the boards, in their order. `between` is the second board over the first."""

    cell: Cell
    boards: tuple[CellOnBoard, ...]
    between: Estimate | None
    directions: tuple[Direction, ...]

    @property
    def disagrees(self) -> bool:
        """Whether a method is better on one board and worse on another."""
        return {"less", "more"} <= set(self.directions)


def boards(
    summaries: Sequence[RunSummary], metric: str, baseline: str | None = None
) -> tuple[BoardRow, ...]:
    """One row for each workload of these runs. Each run is from another board."""
    members_by_key = [_members(summary, baseline) for summary in summaries]
    by_key = [_by_key(summary) for summary in summaries]
    keys = dict.fromkeys(key for cells in by_key for key in cells)
    lines = []
    for key in keys:
        row = tuple(
            CellOnBoard(cells.get(key), members.get(key), metric)
            for cells, members in zip(by_key, members_by_key, strict=True)
        )
        first, *others = (on.cell for on in row)
        second = others[0] if others else None
        between = between_boards(metric, second, first) if first and second else None
        cell = next(entry.cell.planned.cell for entry in row if entry.cell is not None)
        lines.append(BoardRow(cell, row, between, tuple(entry.direction for entry in row)))
    return tuple(lines)


def _by_key(summary: RunSummary) -> dict[str, CellSummary]:
    """The cells of the run's own board. Cells of other boards are pending in that run."""
    return {
        cell.planned.cell.key: cell
        for cell in summary.cells
        if cell.planned.profile == summary.run.profile
    }


def _members(summary: RunSummary, baseline: str | None) -> dict[str, CellWithBaseline]:
    return {
        member.cell.planned.cell.key: member
        for group in groups(summary, baseline)
        for member in group.members
        if not member.is_baseline
    }


def software_differences(first: RunSummary, other: RunSummary) -> tuple[str, ...]:
    """The software that differs. It may explain a difference between boards."""
    names = ("bench", "torch", "torch_blas", "python")
    return tuple(
        f"{name}: {before} and {after}"
        for name in names
        if (before := first.run.software.get(name)) != (after := other.run.software.get(name))
    )
