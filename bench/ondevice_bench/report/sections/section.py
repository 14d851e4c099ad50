"""What a section of a page is."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from ondevice_bench.analyse.groups import Group, groups
from ondevice_bench.analyse.history import Asked, History, history
from ondevice_bench.analyse.summary import RunSummary
from ondevice_bench.papers.claims import Judged
from ondevice_bench.report.plotly_builder import Canvas
from ondevice_bench.suite.goal import Goal


@dataclass(frozen=True)
class Shown:
    """What a page is about: a run, what it is weighed against, other runs beside it, claims."""

    summary: RunSummary
    groups: tuple[Group, ...]
    baseline: str
    goal: Goal
    others: tuple[RunSummary, ...] = ()
    asked: Asked | None = None
    claims: tuple[Judged, ...] = ()
    layout: str = ""

    @cached_property
    def history(self) -> History:
        """All of these runs, in their order."""
        return history((self.summary, *self.others), self.asked)

    @staticmethod
    def of(
        summaries: tuple[RunSummary, ...],
        baseline: str | None = None,
        asked: Asked | None = None,
        claims: tuple[Judged, ...] = (),
        layout: str = "",
    ) -> "Shown":
        """The first run's page, as its suite says or against another baseline."""
        first, *others = summaries
        against = baseline or usual_baseline(first)
        goal = Goal.from_json(first.run.settings.get("goal") or {})
        rest = tuple(others)
        return Shown(first, groups(first, against), against, goal, rest, asked, claims, layout)


def usual_baseline(summary: RunSummary) -> str:
    """What its suite weighs methods against."""
    return str(summary.run.settings.get("baseline", "vanilla"))


@dataclass(frozen=True)
class Plot:
    """A figure for each group of cells that are weighed against each other; None where none is."""

    name: str
    caption: str
    draw: Callable[[Group], Canvas | None]
    is_wide: bool = False  # as wide as the page


@dataclass(frozen=True)
class Section:
    """A part of the page; `content` fills its template, None where there is nothing to show.

    A section of plots alone needs neither; `plots_of` makes those that depend on the runs.
    """

    name: str
    title: str
    text: str = ""
    content: Callable[[Shown], Mapping[str, Any] | None] | None = None
    plots: tuple[Plot, ...] = ()
    plots_of: Callable[[Shown], tuple[Plot, ...]] | None = None
