"""How close a step comes to the limits of the board, by the peaks in its profile."""

from ondevice_bench.analyse.groups import CellWithBaseline, Group
from ondevice_bench.report import drawing, sentences
from ondevice_bench.report.plotly_builder import Canvas
from ondevice_bench.report.sections.section import Plot, Section
from ondevice_bench.stats import is_too_wide

HEIGHT = 420
NEEDED = ("step_flops", "step_traffic_bytes", "step_seconds")


def roofline(group: Group) -> Canvas | None:
    """FLOP/s over FLOPs per byte, below the roof of arithmetic and bandwidth."""
    members = [m for m in group.members if _has_roof(m, group)]
    if not members:
        return None
    plot = Canvas()
    points = {member.label: _point(member) for member in members}
    for dtype in dict.fromkeys(member.cell.planned.cell.dtype for member in members):
        peak, bandwidth = group.peaks.get(dtype), group.peaks.get("bandwidth")
        if peak and bandwidth:  # every member has a roof
            ridge = peak / bandwidth
            ends = [min([ridge, *(x for x, _ in points.values())]) / 4]
            ends += [ridge, max([ridge, *(x for x, _ in points.values())]) * 4]
            plot.add(
                "scatter",
                x=ends,
                y=[min(peak, bandwidth * x) for x in ends],
                mode="lines",
                name=f"roof, {dtype}: {peak:g} GFLOP/s, {bandwidth:g} GB/s",
                line={"color": "rgba(128,128,128,0.9)", "width": 2},
            )
    for method in dict.fromkeys(member.method for member in members):
        of_method = [member for member in members if member.method == method]
        plot.add(
            "scatter",
            x=[points[member.label][0] for member in of_method],
            y=[points[member.label][1] for member in of_method],
            mode="markers",
            name=method,
            text=[member.label for member in of_method],
            marker={"size": 10, "color": drawing.colour(method)},
            hovertemplate="%{text}<br>%{x:,.3~r} FLOP per byte, %{y:,.3~r} GFLOP/s<extra></extra>",
        )
    plot.lay_out(height=HEIGHT)
    plot.x_axis("FLOPs per byte of operator traffic, log scale", **drawing.LOG_AXIS)
    plot.y_axis("GFLOP/s, log scale", **drawing.LOG_AXIS)
    return plot


def says_roofline(group: Group) -> str:
    """How near to the roof the baseline is, and the cell that comes nearest."""
    return sentences.near_the_roof(
        [(m, _share(m, group)) for m in group.members if _has_roof(m, group) and _is_usable(m)]
    )


def _is_usable(member: CellWithBaseline) -> bool:
    return not is_too_wide(member.cell.estimates["step_seconds"])


def _share(member: CellWithBaseline, group: Group) -> float:
    """The FLOP/s of the step over those that the roof allows at its FLOPs per byte."""
    per_byte, reached = _point(member)
    peak = group.peaks[member.cell.planned.cell.dtype]
    return reached / min(peak, group.peaks["bandwidth"] * per_byte)


def _has_roof(member: CellWithBaseline, group: Group) -> bool:
    """Whether the step can be drawn, and the profile has what limits it."""
    dtype = member.cell.planned.cell.dtype
    has_peaks = bool(group.peaks.get(dtype) and group.peaks.get("bandwidth"))
    return has_peaks and all(_value(member, name) > 0 for name in NEEDED)


def _point(member: CellWithBaseline) -> tuple[float, float]:
    flops, traffic, seconds = (_value(member, name) for name in NEEDED)
    return flops / traffic, flops / seconds / 1e9


def _value(member: CellWithBaseline, name: str) -> float:
    estimate = member.cell.estimates.get(name)
    return 0.0 if estimate is None else estimate.estimate


SECTION = Section(
    name="roofline",
    title="How close to the limits of the board",
    plots=(
        Plot(
            "roofline",
            "Vertical: FLOPs per second. Horizontal: FLOPs per byte of memory traffic. The roof is "
            "what the board can do: its peak and its memory bandwidth are in the hardware profile. "
            "Traffic counts every tensor that an operator reads or writes. So a step that finds "
            "tensors in a cache can be above the roof.",
            roofline,
            is_wide=True,
            says=says_roofline,
        ),
    ),
)
