"""Step time: the samples, the median with its interval, and the phases of a step."""

from collections.abc import Sequence

from ondevice_bench import metrics
from ondevice_bench.analyse.groups import CellWithBaseline, Group
from ondevice_bench.report import drawing, sentences
from ondevice_bench.report.judge import Judge
from ondevice_bench.report.plotly_builder import Canvas
from ondevice_bench.report.sections.section import Plot, Section
from ondevice_bench.stats import is_too_wide

PHASES = metrics.parts_of("step")
STEP = "step_seconds"
MOST_SAMPLES = 400  # of a cell; more would only hide each other


def samples(group: Group) -> Canvas | None:
    """Each sample, and the median with its interval."""
    members = _in_order([m for m in group.members if STEP in m.cell.estimates])
    if not members:
        return None
    plot = Canvas()
    shown: list[float] = []
    counts = [len(_samples(member)) for member in members]
    for label, shade, values_of in (
        (_with_counts("sample", counts), "rgba(128,128,128,0.45)", _samples),
        (
            "disturbed sample of the first process, measured again",
            "rgba(179,38,30,0.6)",
            _disturbed,
        ),
    ):
        points = [(value * 1e3, member.label) for member in members for value in values_of(member)]
        shown += [value / 1e3 for value, _ in points]
        if points:
            plot.add(
                "scatter",
                x=[value for value, _ in points],
                y=[name for _, name in points],
                mode="markers",
                name=label,
                # higher than the line of the interval, which would hide a dot
                marker={"symbol": "line-ns-open", "size": 16, "color": shade},
                hovertemplate="%{x:,.4~r} ms<extra>one sample</extra>",
            )
    for is_noisy, words, look in (
        (False, "median, with its interval", {"symbol": "circle"}),
        (
            True,
            "median that is too noisy to use",
            {"symbol": "circle-open", "line": {"width": 2.5}},
        ),
    ):
        alike = [each for each in members if is_too_wide(each.cell.estimates[STEP]) == is_noisy]
        estimates = [member.cell.estimates[STEP] for member in alike]
        colours = [drawing.colour(member.method) for member in alike]
        if alike:
            plot.add(
                "scatter",
                x=[each.estimate * 1e3 for each in estimates],
                y=[member.label for member in alike],
                mode="markers",
                name=words,
                marker={"size": 11, "color": colours, **look},
                error_x=drawing.error_bars(estimates, 1e3),
                hovertemplate="%{y}<br>%{x:,.4~r} ms<extra>median</extra>",
            )
    medians = [member.cell.estimates[STEP].estimate for member in members]
    return drawing.rows(plot, members, "milliseconds of a step", [*medians, *shown])


def _with_counts(name: str, counts: Sequence[int]) -> str:
    """The name in the legend, with the number of samples of a cell."""
    low, high = min(counts), max(counts)
    return f"{name} ({low if low == high else f'{low} to {high}'} of each cell)"


def _samples(member: CellWithBaseline) -> list[float]:
    rounds = member.cell.samples.get("step_seconds", ())
    return [value for samples in rounds for value in samples][:MOST_SAMPLES]


def _disturbed(member: CellWithBaseline) -> list[float]:
    samples = member.cell.details_of("time").disturbed.get("step_seconds", ())
    return list(samples[:MOST_SAMPLES])


def phases(group: Group) -> Canvas | None:
    """Forward, backward and update, stacked."""
    members = [m for m in group.members if any(name in m.cell.estimates for name in PHASES)]
    return (
        drawing.stacked(_in_order(members), PHASES, "milliseconds of a step") if members else None
    )


def _in_order(members: Sequence[CellWithBaseline]) -> list[CellWithBaseline]:
    """The same order in both figures: the baseline, then the shortest step first."""
    return drawing.by_total(members, _step)


def _step(member: CellWithBaseline) -> float:
    estimate = member.cell.estimates.get(STEP)
    return float("inf") if estimate is None else estimate.estimate


def says_phases(group: Group) -> str:
    """The phase that takes most of the baseline's step."""
    names = {name: metrics.BY_NAME[name].label for name in PHASES}
    return sentences.largest_part(group, PHASES, names, "the sum of the phases")


def plots(judge: Judge) -> tuple[Plot, ...]:
    """The whole step, and its phases."""
    return (
        Plot(
            "step-samples",
            "Wall time of one training step. The colour of a median is that of its method. At "
            f"most {MOST_SAMPLES} samples of a cell are drawn.",
            samples,
            says=lambda group: sentences.lowest(group, STEP, judge),
        ),
        Plot(
            "step-phases",
            "The median time of each phase of a step. Forward includes the loss and compression. "
            "Backward includes decompression. A sum of medians can differ from the median of the "
            "whole step.",
            phases,
            says=says_phases,
        ),
    )


SECTION = Section(
    name="times", title="Where the time goes", plots_of=lambda data: plots(data.judge)
)
