"""How plots look: one colour for each method, and the axes of each metric."""

from collections.abc import Mapping, Sequence
from typing import Any

from ondevice_bench.analyse.groups import Member
from ondevice_bench.record import metrics
from ondevice_bench.report.plotly_builder import Canvas
from ondevice_bench.stats import Estimate
from ondevice_bench.units import MIB

# one colour for each method in every figure: Okabe and Ito's palette, and three more
METHOD_COLOURS = {
    "vanilla": "#0072B2",
    "gradient_filter": "#F0E442",
    "svd": "#56B4E9",
    "hosvd": "#CC79A7",
    "asi": "#009E73",
    "wsi": "#E69F00",
    "wasi": "#D55E00",
    "lora": "#7F5AB6",
    "checkpoint": "#8C6D31",
    "microbatch": "#5B7083",
    "saved_bf16": "#A0A0A0",
}
OTHER_COLOUR = "#888888"
ROW_PIXELS, FRAME_PIXELS = 30, 110
SCALES = {"bytes": (1 / MIB, "MiB"), "seconds": (1e3, "ms"), "flops": (1e-9, "GFLOP")}


def colour(method: str) -> str:
    """The method's own colour, or grey."""
    return METHOD_COLOURS.get(method, OTHER_COLOUR)


def axis_of(metric: str) -> tuple[float, str]:
    """The factor for a metric on an axis, and the title of the axis."""
    described = metrics.BY_NAME[metric]
    scale, unit = SCALES.get(described.unit, (1.0, described.unit))
    return scale, f"{described.label}, {unit}" if unit else described.label


def bars(plot: Canvas, members: Sequence[Member], metric: str, shade: str, name: str = "") -> None:
    """Add one part of the stacks. A part that is zero everywhere is left out."""
    having = [member for member in members if metric in member.cell.estimates]
    if not any(member.cell.estimates[metric].estimate for member in having):
        return
    scale, _ = axis_of(metric)
    plot.add(
        "bar",
        x=[member.cell.estimates[metric].estimate * scale for member in having],
        y=[member.label for member in having],
        orientation="h",
        name=name or metrics.BY_NAME[metric].label,
        marker={"color": shade},
        hovertemplate="%{y}<br>%{x:.4g}<extra>%{fullData.name}</extra>",
    )


def stacked(members: Sequence[Member], colours: Mapping[str, str], title: str) -> Canvas:
    """The metrics of each cell, stacked in their order."""
    plot = Canvas()
    for name, shade in colours.items():
        bars(plot, members, name, shade)
    return rows(plot, members, title)


def error_bars(estimates: Sequence[Estimate], scale: float) -> dict[str, Any]:
    """The intervals of estimates. An estimate without one gets no bar."""
    return {
        "type": "data",
        "symmetric": False,
        "array": [None if e.upper is None else (e.upper - e.estimate) * scale for e in estimates],
        "arrayminus": [
            None if e.lower is None else (e.estimate - e.lower) * scale for e in estimates
        ],
        "thickness": 1.5,
        "width": 4,
    }


def rows(plot: Canvas, members: Sequence[Member], title: str) -> Canvas:
    """Lay out one row for each cell, with the first at the top."""
    labels = [member.label for member in members]
    plot.lay_out(height=FRAME_PIXELS + ROW_PIXELS * len(labels), barmode="relative")
    plot.x_axis(title, rangemode="tozero")
    plot.y_axis(type="category", categoryorder="array", categoryarray=labels[::-1], automargin=True)
    return plot
