"""Memory over time: memory_profiler's samples, a curve to look at, never a number."""

import math
from array import array
from collections.abc import Sequence

from ondevice_bench.analyse.groups import CellWithBaseline, Group
from ondevice_bench.record.details import MemoryCurve
from ondevice_bench.report import drawing, sentences
from ondevice_bench.report.plotly_builder import NAME_PIXELS, NUMBERS_PIXELS, Canvas
from ondevice_bench.report.sections.section import Plot, Section
from ondevice_bench.units import MIB

HEIGHT = 380
PEAK, FLOOR = "peak_rss_over_runtime_bytes", "runtime_floor_bytes"
SHOWN = 3  # curves that are visible at first
LEGEND_LINE = 19  # pixels
STAGES = ("forward", "backward", "update")  # of a step
END = "end"  # the mark after the last stage


def over_time(group: Group) -> Canvas | None:
    """Resident memory during each cell's memory pass, above that of an empty torch process."""
    curves = [
        (member, curve)
        for member in group.members
        if (curve := member.cell.details_of("memory").curve).seconds
    ]
    if not curves:
        return None
    curves.sort(key=lambda each: (not each[0].is_baseline, _peak(each[0])))
    plot = Canvas()
    highest = 0.0
    looks = drawing.lines(member.method for member, _ in curves)
    for place, ((member, curve), look) in enumerate(zip(curves, looks, strict=True)):
        start, zero, floor = _start(curve), _zero(curve), _floor(member, curve)
        points = [
            (seconds, (size - floor) / MIB)
            for seconds, size in zip(curve.seconds, curve.rss_bytes, strict=True)
            if seconds >= start
        ]
        highest = max([highest, *(size * MIB for _, size in points)])
        stages = [(stage, moment - zero) for stage, moment in curve.marks]
        plot.add(
            "scatter",
            x=array("d", [seconds - zero for seconds, _ in points]),
            y=array("d", [size for _, size in points]),
            mode="lines",
            name=member.label,
            line={**look, "width": 1.5},
            # the baseline and the lowest peaks; a click on the legend shows another
            visible=True if place < SHOWN else "legendonly",
            # the page's script finds the stage of each point
            meta={"stages": [stage for stage, _ in stages], "begin": [at for _, at in stages]},
            hovertemplate="%{x:.2f} s%{text}: %{y:,.1f} MiB<extra>%{fullData.name}</extra>",
        )
    _add_stages(plot, *curves[0])
    plot.lay_out(
        height=HEIGHT + LEGEND_LINE * math.ceil(len(curves) / 2),
        legend={"orientation": "h", "y": 0, "yref": "container", "yanchor": "bottom"},
        margin={
            "l": NUMBERS_PIXELS,
            "r": 16,
            "t": 16 + 2 * NAME_PIXELS,
            "b": 60 + LEGEND_LINE * math.ceil(len(curves) / 2),
        },
    )
    plot.x_axis("seconds since the step began, slowed by measuring")
    drawing.memory_limit(plot, "y", group.limit_bytes, highest)
    plot.y_axis("MiB above torch alone")
    return plot


def says_over_time(group: Group) -> str:
    """The stage in which the baseline needs the most memory. Stages of others are often alike."""
    base = next((member for member in group.members if member.is_baseline), None)
    estimates = base.cell.estimates if base else {}
    names = {stage: f"{stage}_peak_rss_bytes" for stage in STAGES}
    if base is None or not all(name in estimates for name in names.values()):
        return ""
    stage = max(STAGES, key=lambda stage: estimates[names[stage]].estimate)
    return sentences.SENTENCES["peak in"].format(cell=base.label, stage=stage)


def _add_stages(plot: Canvas, member: CellWithBaseline, curve: MemoryCurve) -> None:
    """A band for each stage of this curve that has samples. The other curves have other stages."""
    zero = _zero(curve)
    seen = [seconds for seconds in curve.seconds if seconds >= _start(curve)]
    if not seen or not curve.marks:
        return
    ends = [*(moment for _, moment in curve.marks[1:]), max(seen)]
    shaded = False
    for (stage, moment), until in zip(curve.marks, ends, strict=True):
        first, last = max(moment, min(seen)), min(until, max(seen))
        if stage != END and first < last:
            colour = drawing.colour(member.method) if shaded else ""
            plot.band(first - zero, last - zero, stage, colour)
            shaded = not shaded
    plot.whose_bands(f"bands: the stages of {member.label}")


def _start(curve: MemoryCurve) -> float:
    return curve.marks[0][1] if curve.marks else 0.0


def _zero(curve: MemoryCurve) -> float:
    """The moment at which the step begins: all curves have it at the same place."""
    return dict(curve.marks).get("forward", _start(curve))


def _floor(member: CellWithBaseline, curve: MemoryCurve) -> float:
    """The memory of the process when it had only loaded torch."""
    estimate = member.cell.estimates.get(FLOOR)
    return estimate.estimate if estimate else _first_after(curve, _start(curve))


def _first_after(curve: MemoryCurve, start: float) -> float:
    sizes: Sequence[float] = [
        size
        for seconds, size in zip(curve.seconds, curve.rss_bytes, strict=True)
        if seconds >= start
    ]
    return sizes[0] if sizes else curve.rss_bytes[0]


def _peak(member: CellWithBaseline) -> float:
    estimate = member.cell.estimates.get(PEAK)
    return estimate.estimate if estimate else float("inf")


SECTION = Section(
    name="curve",
    title="Memory over time",
    plots=(
        Plot(
            "memory-curve",
            "Another process read the memory of each process during its warm-up, one step and "
            "inference. A curve begins when that other process is ready. The curves show how "
            "memory changes. They can miss short peaks, and the warm-up may need more than the "
            "step: take peaks from the other plots. Take times from there, too. Before forward and "
            "after the update, the measurement gives free memory back to the system. So forward "
            "takes longer here, because the system must give memory again. The band of the update "
            "includes the time of giving back. The baseline and the lowest peaks are drawn at "
            "first. All curves begin the step at 0 and reach its other stages at other times.",
            over_time,
            is_wide=True,
            says=says_over_time,
            hint="Click on a name in the legend to show or hide its curve. "
            "The tooltip of a point names its stage.",
        ),
    ),
)
