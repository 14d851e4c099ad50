"""Memory over time: memory_profiler's samples, a curve to look at, never a number."""

from ondevice_bench.analyse.groups import Group
from ondevice_bench.report import drawing
from ondevice_bench.report.plotly_builder import Canvas
from ondevice_bench.report.sections.section import Plot, Section
from ondevice_bench.units import MIB

HEIGHT = 380


def over_time(group: Group) -> Canvas | None:
    """Resident memory during each cell's memory pass, from an empty torch process to inference."""
    curves = [
        (member, curve)
        for member in group.members
        if (curve := member.cell.details_of("memory").curve).seconds
    ]
    if not curves:
        return None
    plot = Canvas()
    for member, curve in curves:
        plot.add(
            "scatter",
            x=list(curve.seconds),
            y=[size / MIB for size in curve.rss_bytes],
            mode="lines",
            name=member.label,
            line={"color": drawing.colour(member.method), "width": 1.5},
            # the first cell and its baseline; a click on the legend shows another
            visible=True if member.is_baseline or member is curves[0][0] else "legendonly",
            hovertemplate="%{x:.2f} s: %{y:.1f} MiB<extra>%{fullData.name}</extra>",
        )
        if member.is_baseline:
            for stage, moment in curve.marks:
                plot.upright(moment, stage)
    plot.lay_out(height=HEIGHT)
    plot.x_axis("seconds (vertical lines: stages of the baseline)")
    plot.y_axis("MiB resident", automargin=True)
    return plot


SECTION = Section(
    name="curve",
    title="Memory over one step",
    plots=(
        Plot(
            "memory-curve",
            "Another process read this memory while the memory pass ran: batch, model, warm-up, "
            "one step, inference. The curve can miss short peaks. The bars above do not miss them, "
            "because the kernel records them. Click on the legend to show and hide methods.",
            over_time,
            is_wide=True,
        ),
    ),
)
