"""Memory anatomy: where each MiB is, as the kernel and as torch see it."""

from collections.abc import Mapping, Sequence

from ondevice_bench import metrics
from ondevice_bench.analyse.groups import CellWithBaseline, Group
from ondevice_bench.report import drawing, sentences
from ondevice_bench.report.judge import Judge
from ondevice_bench.report.plotly_builder import Canvas
from ondevice_bench.report.sections.section import Plot, Section
from ondevice_bench.report.stored_kinds import CHANGED, kind_names
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
    for name, kind in _kinds(members).items():
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


def says_by_kernel(group: Group, judge: Judge) -> str:
    """Who needs least, and which part of the baseline's peak is the largest."""
    names = {
        name: metrics.BY_NAME[name].title.removeprefix("part of the peak: ")
        for name in metrics.parts_of("peak")
    }
    part = sentences.largest_part(group, metrics.parts_of("peak"), names)
    limit = sentences.below_the_limit(group, PEAK)
    return "\n".join(filter(None, (sentences.lowest(group, PEAK, judge), part, limit)))


def says_by_tensors(group: Group, judge: Judge) -> str:
    """Who has the fewest bytes, what the baseline stores most, and what is in no tensor."""
    members = _with_tensors(group)
    bases = [member for member in group.members if member.is_baseline]
    names = {name: f"what {kind} stored" for name, kind in _kinds(bases).items()}
    part = sentences.largest_part(group, STORED, names, "all that is stored for backward")
    with_peak = [member for member in members if PEAK in member.cell.estimates]
    beyond = sentences.beyond_tensors(with_peak, _without_tensors)
    fewest = sentences.fewest_tensors(members, _tensors, judge)
    return "\n".join(filter(None, (fewest, part, beyond)))


def _kinds(members: Sequence[CellWithBaseline]) -> Mapping[str, str]:
    return kind_names(beside_changed=any(_sum(member, (CHANGED,)) for member in members))


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


def _without_tensors(member: CellWithBaseline) -> float:
    """What the peak of the process has beside all tensors."""
    return member.cell.estimates[PEAK].estimate - _tensors(member)


def _beyond(member: CellWithBaseline) -> float:
    """The bytes alive at the peak beyond those stored for backward."""
    peak = _live_peak(member)
    assert peak is not None
    return max(0.0, peak - member.cell.estimates["activation_bytes"].estimate)


def plots(judge: Judge) -> tuple[Plot, ...]:
    """The process, and its tensors."""
    return (
        Plot(
            "by-kernel",
            "Peak resident memory of a step, minus that of a process that has only loaded torch. "
            "Model: what building it took, mostly parameters and buffers. Libraries: code that "
            "was read after torch was loaded. After warm-up: what else stays after the first step. "
            "Step's own memory: what a step adds.",
            by_kernel,
            is_wide=True,
            says=lambda group: says_by_kernel(group, judge),
        ),
        Plot(
            "by-tensors",
            "Tensors at the peak of a step. Stored: what is kept for backward, by the kind of "
            "module that saved it first. Changed layers are those that the method changes. More "
            "at the peak: gradients, and what kernels and methods use for a short time. All else "
            "stays between steps.",
            by_tensors,
            is_wide=True,
            says=lambda group: says_by_tensors(group, judge),
        ),
    )


SECTION = Section(
    name="anatomy",
    title="Where the memory is",
    text="The first plot shows the peak memory of the process, which decides whether training "
    "fits. The second plot shows its tensors, counted exactly: where the memory comes from. The "
    "process also has code of libraries, scratch memory of kernels, and memory that the allocator "
    "keeps, so its order can differ. A colour in both plots means the same; the model is mostly "
    "parameters. Grey marks what most methods leave as it is.",
    plots_of=lambda data: plots(data.judge),
)
