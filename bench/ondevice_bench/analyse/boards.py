"""The same cells on several boards: ratios within each board, and ratios between boards."""

from collections.abc import Sequence
from dataclasses import dataclass

from ondevice_bench import metrics
from ondevice_bench.analyse.choice import direction
from ondevice_bench.analyse.groups import CellWithBaseline, groups
from ondevice_bench.analyse.ratios import between_boards, why_not_between
from ondevice_bench.analyse.summary import CellSummary, RunSummary
from ondevice_bench.stats import Direction, Estimate
from ondevice_bench.suite.cell import Cell

NOT_PLANNED = "not in that run: its plan has no such cell"


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
        """Why the board has no number for this cell; empty if it has one."""
        if self.cell is None:
            return NOT_PLANNED
        if not self.cell.estimates:
            return "; ".join(self.cell.problems) or self.cell.status
        if self.metric not in self.cell.estimates:
            return self.cell.unavailable.get(self.metric, "")
        return ""

    @property
    def why_no_ratio(self) -> str:
        """Why the board has no ratio for this cell."""
        if self.why_not or self.member is None:
            return self.why_not
        if self.member.base is None:
            return self.member.why_no_base or "the baseline was not measured there"
        missing = self.member.base.unavailable.get(self.metric, "it has no number")
        return self.member.why_no_ratio(self.metric) or f"the baseline was not measured: {missing}"

    @property
    def is_disturbed(self) -> bool:
        """Whether others used the processors while the metric was measured there."""
        return self._disturbs(self.cell)

    @property
    def is_base_disturbed(self) -> bool:
        """Whether they did so while its baseline was measured."""
        return self._disturbs(self.member.base if self.member else None)

    def _disturbs(self, cell: CellSummary | None) -> bool:
        return cell is not None and metrics.described(self.metric).pass_name in cell.disturbed


@dataclass(frozen=True)
class BoardRow:
    """A workload on the boards, in their order. `between` is the second board over the first."""

    cell: Cell
    boards: tuple[CellOnBoard, ...]
    between: Estimate | None
    why_no_between: str
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
        why_not = "" if between else _why_not_between(row[:2], metric)
        directions = tuple(entry.direction for entry in row)
        lines.append(BoardRow(cell, row, between, why_not, directions))
    return tuple(lines)


def _why_not_between(pair: Sequence[CellOnBoard], metric: str) -> str:
    """Why the second board has no ratio to the first one."""
    for place, on in zip(("first", "second"), pair, strict=False):
        if on.why_not:
            return f"the {place} board has no number: {on.why_not}"
    cells = [on.cell for on in pair if on.cell is not None]
    return why_not_between(metric, cells[1], cells[0]) if len(cells) > 1 else ""


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
