"""Memory over the pass: memory_profiler's samples, a curve to look at, never a figure."""

from ondevice_bench.analyse.groups import Group
from ondevice_bench.report import drawing
from ondevice_bench.report.plotly_builder import Canvas
from ondevice_bench.report.sections.section import Plot, Section
from ondevice_bench.units import MIB

HEIGHT = 380


def over_time(group: Group) -> Canvas | None:
    """Resident memory of each cell's memory pass, from the runtime floor to inference."""
    drawn = [
        (member, curve)
        for member in group.members
        if (curve := member.cell.details_of("memory").curve).seconds
    ]
    if not drawn:
        return None
    plot = Canvas()
    for member, curve in drawn:
        plot.add(
            "scatter",
            x=list(curve.seconds),
            y=[size / MIB for size in curve.rss_bytes],
            mode="lines",
            name=member.label,
            line={"color": drawing.colour(member.method), "width": 1.5},
            # the first and what it is weighed against; a click on the legend shows another
            visible=True if member.is_baseline or member is drawn[0][0] else "legendonly",
            hovertemplate="%{x:.2f} s: %{y:.1f} MiB<extra>%{fullData.name}</extra>",
        )
        if member.is_baseline:
            for stage, moment in curve.marks:
                plot.upright(moment, stage)
    plot.lay_out(height=HEIGHT)
    plot.x_axis("seconds; the lines mark the baseline's stages")
    plot.y_axis("MiB resident", automargin=True)
    return plot


SECTION = Section(
    name="curve",
    title="Memory over one step",
    plots=(
        Plot(
            "memory-curve",
            "Sampled from a process outside while the memory pass ran: batch, model, warm-up, one "
            "step, inference. Bursts between two samples are missed; the peaks above are the "
            "kernel's. The legend shows and hides methods.",
            over_time,
            is_wide=True,
        ),
    ),
)
