"""A section of the page, and the data that it gets."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

from ondevice_bench.analyse.groups import Group, groups
from ondevice_bench.analyse.history import History, HistoryQuery, history
from ondevice_bench.analyse.kept_accuracy import lost_accuracy
from ondevice_bench.analyse.summary import CellSummary, RunSummary
from ondevice_bench.papers.claims import JudgedClaim
from ondevice_bench.report.board_names import board_names
from ondevice_bench.report.judge import Judge
from ondevice_bench.report.plotly_builder import Canvas
from ondevice_bench.suite.fit import BoardFits
from ondevice_bench.suite.goal import Goal
from ondevice_bench.validation.pi import Validation


@dataclass(frozen=True)
class ReportData:
    """The data of a page: a run and its baseline, other runs for comparison, and claims."""

    summary: RunSummary
    groups: tuple[Group, ...]
    baseline: str
    goal: Goal
    others: tuple[RunSummary, ...] = ()
    query: HistoryQuery | None = None
    claims: tuple[JudgedClaim, ...] = ()
    layout: str = ""
    fits: BoardFits | None = None  # what fits a board, as `bench fit` computed it
    pis: tuple[Validation, ...] = ()  # the latest validation of each real Raspberry Pi
    compares_boards: bool = False  # each run is a board of its own, which the page shows

    @cached_property
    def history(self) -> History:
        """The history of all these runs."""
        return history((self.summary, *self.others), self.query)

    @cached_property
    def lost_accuracy(self) -> Mapping[str, str]:
        """Why methods of the run do not keep the accuracy, by the id of the cell."""
        return lost_accuracy(self.summary, self.baseline)

    @property
    def judge(self) -> Judge:
        """Which cells of the run meet the goal."""
        return Judge(self.goal, self.lost_accuracy)

    @cached_property
    def boards(self) -> tuple[RunSummary, ...]:
        """The run, and the first run of each other board."""
        if self.compares_boards:
            return (self.summary, *self.others)
        by_profile: dict[str, RunSummary] = {}
        for one in (self.summary, *self.others):
            by_profile.setdefault(one.run.profile, one)
        return tuple(by_profile.values())

    @cached_property
    def board_names(self) -> tuple[str, ...]:
        """The name of each of these boards."""
        return board_names(one.run for one in self.boards)

    @cached_property
    def cells(self) -> tuple[CellSummary, ...]:
        """The cells of the run. A cell that waits for a board of the page is left out."""
        return self.cells_of(self.summary)

    def cells_of(self, one: RunSummary) -> tuple[CellSummary, ...]:
        """The cells of a run of the page. A cell that waits for another board of it is left out."""
        elsewhere = {
            (cell.planned.profile, cell.planned.cell.key)
            for other in (self.summary, *self.others)
            if other is not one
            for cell in other.cells
            if cell.planned.state == "planned"
        }
        return tuple(
            cell
            for cell in one.cells
            if cell.status != "pending"
            or (cell.planned.profile, cell.planned.cell.key) not in elsewhere
        )

    def statuses_of(self, one: RunSummary) -> Mapping[str, int]:
        """The number of these cells with each status."""
        return Counter(cell.status for cell in self.cells_of(one))

    @staticmethod
    def from_summaries(
        summaries: tuple[RunSummary, ...],
        baseline: str | None = None,
        query: HistoryQuery | None = None,
        claims: tuple[JudgedClaim, ...] = (),
        layout: str = "",
        fits: BoardFits | None = None,
        pis: tuple[Validation, ...] = (),
        *,
        compares_boards: bool = False,
    ) -> "ReportData":
        """The data for the first run's page, with its suite's baseline or another one."""
        first, *others = summaries
        baseline = baseline or usual_baseline(first)
        return ReportData(
            summary=first,
            groups=groups(first, baseline),
            baseline=baseline,
            goal=Goal.from_dict(first.run.settings.get("goal") or {}),
            others=tuple(others),
            query=query,
            claims=claims,
            layout=layout,
            fits=fits,
            pis=pis,
            compares_boards=compares_boards,
        )


def usual_baseline(summary: RunSummary) -> str:
    """The baseline of the suite."""
    return str(summary.run.settings.get("baseline", "vanilla"))


@dataclass(frozen=True)
class Plot:
    """A figure for each group of cells that are compared. `draw` gives None if there is none.

    `says` makes sentences about the figure from its data, one on each line. The first sentence is
    the most important one. `hint` says what a click does: paper does not show it.
    """

    name: str
    caption: str
    draw: Callable[[Group], Canvas | None]
    is_wide: bool = False  # as wide as the page
    is_over_batches: bool = False  # one figure for all groups that differ only in the batch
    is_over_seeds: bool = False  # the figure takes all seeds; others show the first one
    says: Callable[[Group], str] | None = None
    hint: str = ""


@dataclass(frozen=True)
class Section:
    """A part of the page. A section may have a template, plots, or both.

    `content` fills the template; it gives None if there is nothing to show. `plots_of` makes the
    plots that depend on the runs. `hint` is that of a plot, for the whole section. `about` says
    what it shows of a page with several boards: only the first one, or all of them.
    """

    name: str
    title: str
    text: str = ""
    hint: str = ""
    content: Callable[[ReportData], Mapping[str, Any] | None] | None = None
    plots: tuple[Plot, ...] = ()
    plots_of: Callable[[ReportData], tuple[Plot, ...]] | None = None
    about: Literal["one board", "the page"] = "one board"
