"""The same cells on several boards: ratios within each board, and between them."""

from collections.abc import Sequence
from dataclasses import dataclass

from ondevice_bench.analyse.groups import CellWithBaseline, groups, ratio
from ondevice_bench.analyse.summary import CellSummary, RunSummary
from ondevice_bench.analyse.verdict import proven_direction
from ondevice_bench.stats import Direction, Estimate


@dataclass(frozen=True)
class CellOnBoard:
    """A cell on one board; `cell` is None where it was not planned there."""

    cell: CellSummary | None
    member: (
        CellWithBaseline | None
    )  # the same beside its baseline there; None for the baseline itself
    metric: str

    @property
    def against_baseline(self) -> Estimate | None:
        """The metric as a multiple of the baseline's on the same board."""
        return None if self.member is None else self.member.ratio(self.metric)

    @property
    def direction(self) -> Direction:
        """The direction that this ratio proves."""
        processes = 0 if self.member is None else self.member.rounds(self.metric)
        return proven_direction(self.against_baseline, self.metric, processes)

    @property
    def why_not(self) -> str:
        """The reason of what is missing."""
        if self.cell is None:
            return "not in that run"
        return "; ".join(self.cell.problems) or self.cell.status


@dataclass(frozen=True)
class BoardRow:
    """A workload over the boards, in their order; `between` is the second over the first."""

    label: str
    boards: tuple[CellOnBoard, ...]
    between: Estimate | None
    directions: tuple[Direction, ...]

    @property
    def disagrees(self) -> bool:
        """Whether a method wins on one board and loses on another: the finding."""
        return {"less", "more"} <= set(self.directions)


def boards(
    summaries: Sequence[RunSummary], metric: str, baseline: str | None = None
) -> tuple[BoardRow, ...]:
    """Every workload of the first run, and of the others what they have of it."""
    measured = [_members(summary, baseline) for summary in summaries]
    every = [_by_fingerprint(summary) for summary in summaries]
    names = dict.fromkeys(name for cells in every for name in cells)
    lines = []
    for name in names:
        there = tuple(
            CellOnBoard(cells.get(name), members.get(name), metric)
            for cells, members in zip(every, measured, strict=True)
        )
        known = [on.cell.estimates.get(metric) for on in there if on.cell is not None]
        between = ratio(known[1], known[0]) if len(known) > 1 else None
        label = next(on.cell.planned.cell.id for on in there if on.cell is not None)
        lines.append(BoardRow(label, there, between, tuple(on.direction for on in there)))
    return tuple(lines)


def _by_fingerprint(summary: RunSummary) -> dict[str, CellSummary]:
    """The cells of the run's own board: those of others are pending there."""
    return {
        cell.planned.cell.fingerprint: cell
        for cell in summary.cells
        if cell.planned.profile == summary.run.profile
    }


def _members(summary: RunSummary, baseline: str | None) -> dict[str, CellWithBaseline]:
    return {
        member.cell.planned.cell.fingerprint: member
        for group in groups(summary, baseline)
        for member in group.members
        if not member.is_baseline
    }


def unlike(first: RunSummary, other: RunSummary) -> tuple[str, ...]:
    """Software that differs: what a difference between boards may come from."""
    names = ("bench", "torch", "torch_blas", "python")
    return tuple(
        f"{name}: {before} and {after}"
        for name in names
        if (before := first.run.software.get(name)) != (after := other.run.software.get(name))
    )
