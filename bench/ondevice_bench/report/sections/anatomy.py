"""Memory anatomy: where each MiB is, as the kernel and as torch see it."""

from ondevice_bench import metrics
from ondevice_bench.analyse.groups import CellWithBaseline, Group
from ondevice_bench.report import drawing, sentences
from ondevice_bench.report.plotly_builder import Canvas
from ondevice_bench.report.sections.section import Plot, Section
from ondevice_bench.units import MIB

BEYOND_COLOUR = "#7A6250"
# the order of the same parts in the first plot
RESIDENT = sorted(metrics.parts_of("resident tensors"), key=lambda name: name != "batch_bytes")
LIVE = tuple(f"{phase}_live_peak_bytes" for phase in ("forward", "backward", "update"))
PEAK = "peak_rss_over_runtime_bytes"
STORED = metrics.parts_of("activations")


def by_kernel(group: Group) -> Canvas | None:
    """Peak memory above that of an empty torch process, split by when it came."""
    parts = metrics.parts_of("peak")
    members = drawing.by_total(_having(group, *parts), lambda m: _sum(m, parts))
    title = "MiB above torch alone"
    if not members:
        return None
    plot = drawing.stacked(members, parts, title)
    drawing.totals(plot, members, lambda m: _sum(m, parts), lambda m: _peak(m, parts), PEAK)
    drawing.memory_limit(plot, "x", group.limit_bytes, max(_peak(m, parts) for m in members))
    return plot


def by_tensors(group: Group) -> Canvas | None:
    """Bytes of tensors at the peak of a step, by kind if the end of forward shows the kind."""
    members = drawing.by_total(_with_tensors(group), _tensors)
    if not members:
        return None
    plot = Canvas()
    for name in RESIDENT:
        drawing.bars(plot, members, name)
    for name in STORED:
        kind = metrics.BY_NAME[name].label.removeprefix("of ")
        drawing.bars(plot, members, name, f"stored: {kind}")
    plot.add(
        "bar",
        x=[_beyond(member) / MIB for member in members],
        y=[member.label for member in members],
        orientation="h",
        name="more at the peak",
        marker={"color": BEYOND_COLOUR},
        hovertemplate="%{y}<br>%{x:,.4~r} MiB<extra>%{fullData.name}</extra>",
    )
    drawing.totals(plot, members, _tensors, _tensors)
    return drawing.rows(plot, members, "MiB of tensors")


def says_by_kernel(group: Group) -> str:
    """Who needs least, and which part of the baseline's peak is the largest."""
    names = {
        name: metrics.BY_NAME[name].title.removeprefix("part of the peak: ")
        for name in metrics.parts_of("peak")
    }
    part = sentences.largest_part(group, metrics.parts_of("peak"), names)
    limit = sentences.below_the_limit(group, PEAK)
    return "\n".join(filter(None, (sentences.lowest(group, PEAK), part, limit)))


def says_by_tensors(group: Group) -> str:
    """Who has the fewest bytes, and for which modules the baseline stores most."""
    names = {
        name: f"what {metrics.BY_NAME[name].label.removeprefix('of ')} stored" for name in STORED
    }
    part = sentences.largest_part(group, STORED, names, "all that is stored for backward")
    return f"{sentences.fewest_tensors(_with_tensors(group), _tensors)}\n{part}".strip()


def _having(group: Group, *names: str) -> list[CellWithBaseline]:
    return [m for m in group.members if any(name in m.cell.estimates for name in names)]


def _with_tensors(group: Group) -> list[CellWithBaseline]:
    return [m for m in _having(group, "activation_bytes") if _live_peak(m) is not None]


def _sum(member: CellWithBaseline, names: tuple[str, ...]) -> float:
    estimates = member.cell.estimates
    return sum(estimates[name].estimate for name in names if name in estimates)


def _peak(member: CellWithBaseline, parts: tuple[str, ...]) -> float:
    """The peak as every table shows it."""
    estimate = member.cell.estimates.get(PEAK)
    return _sum(member, parts) if estimate is None else estimate.estimate


def _live_peak(member: CellWithBaseline) -> float | None:
    peaks = [member.cell.estimates[n].estimate for n in LIVE if n in member.cell.estimates]
    return max(peaks, default=None)


def _tensors(member: CellWithBaseline) -> float:
    """All that the bar of a cell shows."""
    parts = (*metrics.parts_of("resident tensors"), *STORED)
    return _sum(member, parts) + _beyond(member)


def _beyond(member: CellWithBaseline) -> float:
    """The bytes alive at the peak beyond those stored for backward."""
    peak = _live_peak(member)
    assert peak is not None
    return max(0.0, peak - member.cell.estimates["activation_bytes"].estimate)


SECTION = Section(
    name="anatomy",
    title="Where the memory is",
    text="Colour marks what methods are made to shrink. Grey marks the rest. A colour means the "
    "same in both plots. The first plot shows the whole process, as the kernel counts it. The "
    "second plot shows the tensors in it, as torch's allocator and autograd count them.",
    plots=(
        Plot(
            "by-kernel",
            "Peak resident memory of a step, minus that of a process that has only loaded torch. "
            "The parts are the batch, the weights, the state of the optimizer, code of libraries "
            "that were used later, what else stays after the first step, and what the step adds.",
            by_kernel,
            is_wide=True,
            says=says_by_kernel,
        ),
        Plot(
            "by-tensors",
            "Tensors at the peak of a step, in three kinds. Some stay between steps. Some are "
            "stored by autograd for backward; their colour is the kind of module that saved them "
            "first. The rest was also alive at the peak: gradients, and memory that kernels and "
            "methods use for a short time.",
            by_tensors,
            is_wide=True,
            says=says_by_tensors,
        ),
    ),
)
