"""Memory anatomy, the emblem: where each MiB is, by the kernel and by tensors."""

from ondevice_bench.analyse.groups import Group, Member
from ondevice_bench.record import metrics
from ondevice_bench.report import drawing
from ondevice_bench.report.plotly_builder import Canvas
from ondevice_bench.report.sections.section import Plot, Section
from ondevice_bench.units import MIB

PROCESS_COLOURS = {
    "rss_batch_bytes": "#56B4E9",
    "rss_weights_bytes": "#0072B2",
    "rss_optimizer_bytes": "#009E73",
    "rss_libraries_bytes": "#999999",
    "rss_warmup_bytes": "#E69F00",
    "rss_step_bytes": "#D55E00",
}
RESIDENT_COLOURS = {
    "parameter_bytes": "#0072B2",
    "buffer_bytes": "#56B4E9",
    "method_state_bytes": "#E69F00",
    "optimizer_state_bytes": "#009E73",
    "batch_bytes": "#8FB8D6",
}
SAVED_COLOURS = {
    "activation_treated_layers_bytes": "#D55E00",
    "activation_other_layers_bytes": "#F2A07B",
    "activation_attention_bytes": "#CC79A7",
    "activation_normalisation_bytes": "#F0E442",
    "activation_activation_functions_bytes": "#B8A300",
    "activation_loss_bytes": "#7F5AB6",
    "activation_other_bytes": "#A0A0A0",
}
BEYOND_COLOUR = "#4D4D4D"
LIVE = tuple(f"{phase}_live_peak_bytes" for phase in ("forward", "backward", "update"))


def by_kernel(group: Group) -> Canvas | None:
    """Peak RSS over the runtime floor, split into what came when."""
    members = _having(group, *metrics.PEAK_PARTS)
    title = "MiB of resident memory over the runtime floor"
    return drawing.stacked(members, PROCESS_COLOURS, title) if members else None


def by_tensors(group: Group) -> Canvas | None:
    """Bytes of tensors at the step's highest moment, as far as the turn to backward tells them."""
    members = [m for m in _having(group, "activation_bytes") if _live_peak(m) is not None]
    if not members:
        return None
    plot = Canvas()
    for name, shade in RESIDENT_COLOURS.items():
        drawing.bars(plot, members, name, shade)
    for name, shade in SAVED_COLOURS.items():
        kept = metrics.BY_NAME[name].label.removeprefix("of ")
        drawing.bars(plot, members, name, shade, name=f"kept: {kept}")
    plot.add(
        "bar",
        x=[_beyond(member) / MIB for member in members],
        y=[member.label for member in members],
        orientation="h",
        name="more at the highest moment",
        marker={"color": BEYOND_COLOUR},
        hovertemplate="%{y}<br>%{x:.4g} MiB<extra>%{fullData.name}</extra>",
    )
    return drawing.rows(plot, members, "MiB of tensors")


def _having(group: Group, *names: str) -> list[Member]:
    return [m for m in group.members if any(name in m.cell.estimates for name in names)]


def _live_peak(member: Member) -> float | None:
    found = [member.cell.estimates[n].estimate for n in LIVE if n in member.cell.estimates]
    return max(found, default=None)


def _beyond(member: Member) -> float:
    """What lives at the highest moment beyond what is kept at the turn to backward."""
    peak = _live_peak(member)
    assert peak is not None
    return max(0.0, peak - member.cell.estimates["activation_bytes"].estimate)


SECTION = Section(
    name="anatomy",
    title="Where the memory is",
    text="The same step twice: as the kernel saw the process, and as torch's allocator and "
    "autograd saw its tensors. What a method compresses is one colour of many.",
    plots=(
        Plot(
            "by-kernel",
            "Resident memory at the highest moment of a step, over a process that has torch ready: "
            "what came with the batch, the weights and the optimizer's state, code of libraries "
            "touched since, what else stays after the first step, and what the step adds.",
            by_kernel,
            is_wide=True,
        ),
        Plot(
            "by-tensors",
            "Tensors: what is resident between steps, what autograd keeps for backward by the kind "
            "of module that saved it first, and what more was alive at the highest moment "
            "(gradients, and what kernels and methods need for a while).",
            by_tensors,
            is_wide=True,
        ),
    ),
)
