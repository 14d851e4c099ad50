"""How plots look: one colour for each method, and the axes of each metric."""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from statistics import median
from typing import Any, Literal

from ondevice_bench import metrics, units
from ondevice_bench.analyse.groups import CellWithBaseline
from ondevice_bench.report.plotly_builder import Canvas
from ondevice_bench.stats import Estimate

# one colour for each method in every figure: Okabe and Ito's palette, and more
METHOD_COLOURS = {
    "vanilla": "#0072B2",
    "gradient_filter": "#FEC200",
    "svd": "#56B4E9",
    "hosvd": "#CC79A7",
    "asi": "#009E73",
    "wsi": "#E69F00",
    "wasi": "#D55E00",
    "lora": "#7F5AB6",
    "bias_only": "#545454",
    "lora_fa": "#9C00FC",
    "lance": "#FC009C",
    "wsi_svd": "#FCE400",
    "lbp_wht": "#00A800",
    "checkpoint": "#8C6D31",
    "microbatch": "#5B7083",
    "saved_bf16": "#A0A0A0",
    "saved": "#503058",
    "lean": "#00D000",
    "fewbit": "#E80830",
    "update_in_backward": "#F800F8",
    "galore": "#0000FF",
}
# for all other methods; different enough from these, and from each other
FURTHER_COLOURS = (
    "#880038", "#085800", "#20E098", "#3830A8", "#D8B0F8", "#C03070", "#88B000", "#005068",
    "#781088", "#A080F8", "#684008", "#F8A098", "#C0C898", "#008000", "#A83818", "#3088F8",
    "#804868", "#F880E0", "#0098B8", "#68D8D8", "#A89040", "#F86068", "#A06878", "#C050B8",
    "#B0D038", "#007058", "#00C0A8", "#8880B8", "#505090", "#709000", "#D08870", "#A03098",
    "#4858D0", "#606000", "#F87800", "#88B078", "#B098D8",
)  # fmt: skip
DASHES = ("solid", "dash", "dot", "dashdot")
# 1, 2 and 5 in each power of ten, as whole numbers: plotly would show digits alone
LOG_AXIS = {"type": "log", "dtick": "D2", "tickformat": ",~g"}
ROW_PIXELS, FRAME_PIXELS, LEGEND_PIXELS = 30, 92, 19
INTERVAL_COLOUR = "#22272C"  # darker than all bars
CROWDED = 6.0  # times the median: a higher value leaves no room for the others
MOST_TICKS = 8  # of an axis below rows: its last number stands near the longest bar
REACH = 2.0  # a limit farther away, in multiples of the highest value, leaves no room to draw


def colour(method: str) -> str:
    """The colour of a method, the same in every report.

    For a user's own method and for a composition it follows from the name.
    """
    if method in METHOD_COLOURS:
        return METHOD_COLOURS[method]
    digest = hashlib.sha256(method.encode(errors="surrogatepass")).digest()
    return FURTHER_COLOURS[int.from_bytes(digest[:4]) % len(FURTHER_COLOURS)]


def lines(methods: Iterable[str]) -> list[dict[str, Any]]:
    """The look of a line for each method. Several lines of one method differ by their dashes."""
    used: Counter[str] = Counter()
    looks = []
    for method in methods:
        looks.append({"color": colour(method), "dash": DASHES[used[method] % len(DASHES)]})
        used[method] += 1
    return looks


def axis_of(metric: str) -> tuple[float, str]:
    """The factor for a metric on an axis, and the title of the axis."""
    described = metrics.BY_NAME[metric]
    scale, unit = units.axis(described.unit)
    name = described.noun if unit in ("MiB", "ms") else described.label
    return scale, f"{name}, {unit}" if unit else name


def value_text(axis: Literal["x", "y"], metric: str) -> str:
    """A metric of a point in its tooltip: the number with its unit."""
    _, unit = units.axis(metrics.BY_NAME[metric].unit)
    return f"%{{{axis}:,.4~r}} {unit}".rstrip()


def bars(plot: Canvas, members: Sequence[CellWithBaseline], metric: str, name: str = "") -> None:
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
        marker={"color": metrics.BY_NAME[metric].colour},
        hovertemplate=f"%{{y}}<br>{value_text('x', metric)}<extra>%{{fullData.name}}</extra>",
    )


def stacked(members: Sequence[CellWithBaseline], parts: Sequence[str], title: str) -> Canvas:
    """The parts of each cell, stacked in their order."""
    plot = Canvas()
    for name in parts:
        bars(plot, members, name)
    return rows(plot, members, title)


def by_total(
    members: Sequence[CellWithBaseline], total: Callable[[CellWithBaseline], float]
) -> list[CellWithBaseline]:
    """The baseline first, then the others, the smallest first."""
    return sorted(members, key=lambda member: (not member.is_baseline, total(member)))


def totals(
    plot: Canvas,
    members: Sequence[CellWithBaseline],
    length: Callable[[CellWithBaseline], float],
    total: Callable[[CellWithBaseline], float],
    metric: str | None = None,
) -> None:
    """Write the total in MiB at the end of each bar, and its ratio to the baseline's.

    If the total is a metric, its ratio is that of all tables, and a thin line is its interval.
    With several rounds the parts of a bar are medians of their own. So its length may differ a
    little from the total.
    """
    ends = {} if metric is None else _intervals(plot, members, metric)
    bases = {id(member.base): total(member) for member in members if member.is_baseline}
    values = [total(member) for member in members]
    plot.add(
        "scatter",
        x=[max(length(member) / units.MIB, ends.get(member.label, 0.0)) for member in members],
        y=[member.label for member in members],
        mode="text",
        text=[
            f" {units.mib(value)}{_ratio(value, bases.get(id(member.base)), member, metric)}"
            for member, value in zip(members, values, strict=True)
        ],
        textposition="middle right",
        textfont={"size": 11},
        cliponaxis=False,
        showlegend=False,
        hoverinfo="skip",
    )
    plot.lay_out(margin={"l": 8, "r": 120, "t": 8, "b": 44})


def _intervals(plot: Canvas, members: Sequence[CellWithBaseline], metric: str) -> dict[str, float]:
    """Draw the interval of each cell that has one, in MiB, and return where it ends."""
    bounds = {
        member.label: (estimate.lower / units.MIB, estimate.upper / units.MIB)
        for member in members
        if (estimate := member.cell.estimates.get(metric)) is not None
        and estimate.lower is not None
        and estimate.upper is not None
    }
    if bounds:
        plot.add(
            "scatter",
            x=[end for pair in bounds.values() for end in (*pair, None)],
            y=[label for label in bounds for _ in range(3)],
            mode="lines+markers",
            name=f"interval of the {metrics.BY_NAME[metric].noun}",
            line={"color": INTERVAL_COLOUR, "width": 2},
            marker={
                "symbol": "line-ns-open",
                "size": 7,
                "color": INTERVAL_COLOUR,
                "line": {"width": 2},
            },
            hovertemplate="%{y}<br>%{x:,.4~r} MiB<extra>end of the interval</extra>",
        )
    return {label: upper for label, (_, upper) in bounds.items()}


def _ratio(value: float, base: float | None, member: CellWithBaseline, metric: str | None) -> str:
    if not base or member.is_baseline:
        return ""
    ratio = None if metric is None else member.ratio(metric)
    if ratio is not None:
        return f" ({units.ratio(ratio.estimate)})"
    return f" ({units.ratio(value / base)})"


def needs_log(values: Sequence[float]) -> bool:
    """Whether one value leaves no room for the others on a linear axis."""
    return bool(values) and min(values) > 0 and max(values) > CROWDED * median(values)


def scaled_axis(title: str, values: Sequence[float]) -> dict[str, Any]:
    """The title of an axis. It is logarithmic if the values need that, and says so."""
    if needs_log(values):
        return {"title": f"{title}, log scale", **LOG_AXIS}
    return {"title": title}


def memory_limit(
    plot: Canvas, axis: Literal["x", "y"], limit_bytes: int | None, highest_bytes: float
) -> None:
    """Draw the memory that a step may use as a line, if the values come near it."""
    if limit_bytes is not None and limit_bytes <= REACH * highest_bytes:
        plot.limit(axis, limit_bytes / units.MIB, f"limit: {units.whole_mib(limit_bytes)}")


def error_bars(estimates: Sequence[Estimate], scale: float, of_method: str = "") -> dict[str, Any]:
    """The intervals of estimates. An estimate without one gets no bar.

    Bars in the colour of a method are thin.
    """
    look = {"color": "rgba(110,118,126,0.9)", "thickness": 1.5, "width": 4}
    if of_method:
        look = {"color": f"{colour(of_method)}8c", "thickness": 1, "width": 2}
    return {
        "type": "data",
        "symmetric": False,
        "array": [None if e.upper is None else (e.upper - e.estimate) * scale for e in estimates],
        "arrayminus": [
            None if e.lower is None else (e.estimate - e.lower) * scale for e in estimates
        ],
        **look,
    }


def rows(
    plot: Canvas, members: Sequence[CellWithBaseline], title: str, values: Sequence[float] = ()
) -> Canvas:
    """Lay out one row for each cell, with the first at the top.

    `values` are those of points, which may need a log scale. A bar needs an axis from zero.
    """
    labels = [member.label for member in members]
    height = FRAME_PIXELS + ROW_PIXELS * len(labels) + LEGEND_PIXELS * plot.rows_of_legend
    plot.lay_out(height=height, barmode="relative")
    plot.x_axis(**scaled_axis(title, values), rangemode="tozero", nticks=MOST_TICKS)
    plot.y_axis(
        type="category",
        categoryorder="array",
        categoryarray=labels[::-1],
        showgrid=bool(values),  # a line leads from a name to its point; a bar needs none
        range=[-0.6, len(labels) - 0.4],  # plotly's own range has a margin that grows with the rows
        automargin=True,
        ticks="outside",
        ticklen=5,
        tickcolor="rgba(0,0,0,0)",
    )
    return plot
