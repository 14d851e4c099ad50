"""Metrics over commits: a line for each cell, its intervals, and where it changed."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from ondevice_bench import metrics
from ondevice_bench.analyse.groups import CellWithBaseline, Group
from ondevice_bench.analyse.history import History
from ondevice_bench.analyse.series import HistoryChange, Series
from ondevice_bench.analyse.series_changes import software_changes
from ondevice_bench.record.origin import commit_text
from ondevice_bench.report import drawing
from ondevice_bench.report.history_text import short_commit
from ondevice_bench.report.plotly_builder import Canvas
from ondevice_bench.report.sections.section import Plot, ReportData, Section

if TYPE_CHECKING:
    from ondevice_bench.record.model import Run

HEIGHT = 380
MOST_TICKS = 24
MARKS = {"worse": "#C9352B", "better": "#2DA44E", "not yet confirmed": "#888888"}


def plots(data: ReportData) -> tuple[Plot, ...]:
    """A plot for each metric of the query, or else for headlines and metrics that stepped."""
    history = data.history
    steps = [one.metric for one, change in history.changes if change.kind != "changed"]
    names = data.query.metrics if data.query else ()
    return tuple(
        Plot(
            f"trend-{name}",
            f"{metrics.BY_NAME[name].label}: {metrics.BY_NAME[name].title}",
            _over_runs(history, name),
            is_wide=True,
        )
        for name in names or dict.fromkeys((*metrics.HEADLINES, *steps))
    )


def _over_runs(history: History, name: str) -> Callable[[Group], Canvas | None]:
    def draw(group: Group) -> Canvas | None:
        lines = list(_lines(history, group, name))
        if not lines:
            return None
        plot = Canvas()
        scale, title = drawing.axis_of(name)
        shown = drawing.value_text("y", name)
        several = len({series.machine for _, series in lines}) > 1
        looks = drawing.lines(member.method for member, _ in lines)
        for (member, series), look in zip(lines, looks, strict=True):
            label = f"{member.label} · {series.machine}" if several else member.label
            _line(plot, series, scale, label, look, shown)
        for mark, shade in MARKS.items():
            _marks(plot, lines, scale, mark, shade, shown)
        _software(plot, history.runs)
        every = -(-len(history.runs) // MOST_TICKS)
        places = list(range(0, len(history.runs), every))
        plot.lay_out(height=HEIGHT)
        plot.x_axis(
            "commit of each run",
            tickvals=places,
            ticktext=[short_commit(history.runs[place].commit) for place in places],
            tickangle=-45,
            automargin=True,
        )
        plot.y_axis(title)
        return plot

    return draw


def _lines(history: History, group: Group, name: str) -> Iterator[tuple[CellWithBaseline, Series]]:
    """The series of the group's cells that have more than one run."""
    for member in group.members:
        for series in history.by_workload.get((member.cell.planned.cell.key, name), ()):
            if len(series.points) > 1:
                yield member, series


def _line(
    plot: Canvas, series: Series, scale: float, label: str, look: Mapping[str, Any], shown: str
) -> None:
    estimates = [point.estimate for point in series.points]
    plot.add(
        "scatter",
        x=[point.place for point in series.points],
        y=[estimate.estimate * scale for estimate in estimates],
        error_y=drawing.error_bars(estimates, scale),
        mode="lines+markers",
        name=label,
        line={**look, "width": 1.5},
        marker={"size": 5},
        text=[f"{commit_text(point.run.commit)}, {point.run.created}" for point in series.points],
        hovertemplate=f"%{{text}}<br>{shown}<extra>%{{fullData.name}}</extra>",
    )


def _marks(
    plot: Canvas,
    lines: Sequence[tuple[CellWithBaseline, Series]],
    scale: float,
    mark: str,
    shade: str,
    shown: str,
) -> None:
    """Mark the first point after each change of this kind, upwards or downwards."""
    changes = [
        change
        for _, series in lines
        for change in series.changes
        if change.kind != "drifts" and _mark(change) == mark
    ]
    if changes:
        plot.add(
            "scatter",
            x=[change.after.place for change in changes],
            y=[change.after.estimate.estimate * scale for change in changes],
            mode="markers",
            name=mark,
            marker={
                "color": shade,
                "size": 12,
                "symbol": [_direction(change) for change in changes],
            },
            hovertemplate=f"{shown}<extra>%{{fullData.name}}</extra>",
        )


def _mark(change: HistoryChange) -> str:
    if change.kind == "pending":
        return "not yet confirmed"
    return "better" if change.is_better else "worse"


def _direction(change: HistoryChange) -> str:
    is_up = change.after.estimate.estimate > change.before.estimate.estimate
    return "triangle-up" if is_up else "triangle-down"


def _software(plot: Canvas, runs: "Sequence[Run]") -> None:
    """Add a line before each run whose software differs from that of the run before."""
    for place, (before, after) in enumerate(pairwise(runs), start=1):
        differences = software_changes(before, after)
        if differences:
            more = f" and {len(differences) - 1} more" if len(differences) > 1 else ""
            plot.upright(place - 0.5, f"{differences[0]}{more}")


SECTION = Section(
    name="trends",
    title="Run after run",
    text="Each point is a run, with the interval of that run. A triangle marks the first run after "
    "a change. It points up if the number rose, else down. A dotted line marks a change of "
    "software.",
    plots_of=plots,
    about="the page",
)
