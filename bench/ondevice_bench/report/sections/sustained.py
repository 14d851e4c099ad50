"""A training without pause: the first minute against the last, and what the board did."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from statistics import median
from typing import Any

from ondevice_bench import metrics
from ondevice_bench.analyse.epoch import epoch_of
from ondevice_bench.analyse.groups import Group
from ondevice_bench.analyse.summary import CellSummary
from ondevice_bench.record.details import SustainedCurve
from ondevice_bench.record.model import Run
from ondevice_bench.report import drawing
from ondevice_bench.report.endurance import endurance
from ondevice_bench.report.plotly_builder import Canvas
from ondevice_bench.report.quantities import Quantity, dash, quantity_of, quantity_of_estimate
from ondevice_bench.report.sections.section import Plot, ReportData, Section

PASS = "sustained"
COLUMNS = tuple(metrics.BY_NAME[name] for name in metrics.of_pass(PASS))
POINTS = 300  # of a curve: more would be closer than the pixels
EPOCH = "energy of an epoch"


def content(data: ReportData) -> Mapping[str, Any] | None:
    """A sentence and a line of the table for each cell."""
    members = [
        (group, member)
        for group in data.groups
        for member in group.members
        if PASS in member.cell.details
    ]
    if not members:
        return None
    several = len({group.title for group, _ in members}) > 1
    labels = [f"{m.label} · {group.title}" if several else m.label for group, m in members]
    lines = [
        (
            label,
            endurance(member.cell, label),
            [
                *(quantity_of(member.cell, metric.name) for metric in COLUMNS),
                _energy_of_an_epoch(data.summary.run, member.cell),
            ],
        )
        for label, (_, member) in zip(labels, members, strict=True)
    ]
    return {"columns": [*(metric.label for metric in COLUMNS), EPOCH], "lines": lines}


def _energy_of_an_epoch(run: Run, cell: CellSummary) -> Quantity:
    epoch = epoch_of(run, cell)
    if epoch.joules is None:
        return dash(f"{EPOCH}; not known: {epoch.why_no_joules}")
    quantity = quantity_of_estimate("sustained_step_joules", epoch.joules)
    return replace(quantity, meaning=f"{EPOCH}; {epoch.joules.basis}")


def speed(group: Group) -> Canvas | None:
    """The step time of each second."""
    plot = _over_time(group, "step_seconds", 1e3, "milliseconds of a step", "ms")
    if plot is not None:
        for member in group.members:
            after = member.cell.estimates.get("throttled_after_seconds")
            if after is not None:
                plot.upright(after.estimate / 60, f"{member.label} throttles")
    return plot


def temperature(group: Group) -> Canvas | None:
    """The temperature of the processor, or of the hottest zone."""
    plot = _over_time(group, "celsius", 1.0, "°C", "°C")
    if plot is not None:
        plot.y_axis(rangemode="normal")
    return plot


def clock(group: Group) -> Canvas | None:
    """The clock of the processors of the worker."""
    return _over_time(group, "mhz", 1.0, "MHz of the processors", "MHz")


def power(group: Group) -> Canvas | None:
    """The power by the meter."""
    return _over_time(group, "watts", 1.0, "watts by the meter", "W")


def others(group: Group) -> Canvas | None:
    """What other programs took."""
    return _over_time(group, "others", 1.0, "cores that other programs used", "cores")


def _over_time(group: Group, column: str, scale: float, title: str, unit: str) -> Canvas | None:
    """A line for each cell over minutes."""
    curves = [
        (member, thinned(member.cell.details_of(PASS).sustained, column))
        for member in group.members
    ]
    curves = [(member, points) for member, points in curves if points[1]]
    if not curves:
        return None
    plot = Canvas()
    looks = drawing.lines(member.method for member, _ in curves)
    for (member, (minutes, values)), look in zip(curves, looks, strict=True):
        plot.add(
            "scatter",
            x=minutes,
            y=[value * scale for value in values],
            mode="lines",
            name=member.label,
            line={**look, "width": 1.5},
            hovertemplate=f"%{{x:.1f}} min: %{{y:,.4~r}} {unit}<extra>%{{fullData.name}}</extra>",
        )
    plot.x_axis("minutes without pause", rangemode="tozero")
    plot.y_axis(title, rangemode="tozero")
    return plot


def thinned(curve: SustainedCurve, column: str) -> tuple[list[float], list[float]]:
    """Minutes and values with few points: each one the median of neighbours."""
    values: Sequence[float] = curve.columns.get(column, ())
    rows = min(len(values), len(curve.seconds))
    size = max(1, -(-rows // POINTS))
    places = range(0, rows, size)
    ends = [min(place + size, rows) for place in places]
    minutes = [curve.seconds[end - 1] / 60 for end in ends]
    return minutes, [median(values[place:end]) for place, end in zip(places, ends, strict=True)]


SECTION = Section(
    name=PASS,
    title="Under load without pause",
    content=content,
    plots=(
        Plot(
            "sustained-speed",
            "The median step time of each second of training without pause. A dotted line is the "
            "moment at which the board first lowered its clock.",
            speed,
            is_wide=True,
        ),
        Plot("sustained-temperature", "The temperature during this time.", temperature),
        Plot("sustained-clock", "The clock of the processors during this time.", clock),
        Plot("sustained-power", "The mean power of each second, by the meter.", power),
        Plot(
            "sustained-others",
            "The processor time of other programs, in cores. If steps are slower where this line "
            "rises, heat is not the reason.",
            others,
        ),
    ),
)
