"""Two costs against each other. Of the points that meet the goal, those that no other one beats."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any

from ondevice_bench.analyse.gradient import diverges, gradient_quality
from ondevice_bench.analyse.groups import CellWithBaseline, Group
from ondevice_bench.analyse.pareto import front
from ondevice_bench.analyse.verdict import bounds
from ondevice_bench.report import drawing, sentences
from ondevice_bench.report.axes import (
    ACTIVATIONS,
    AXES,
    COSINE,
    PEAK,
    STEP,
    cost_of,
    is_noisy,
    scaled_values,
    values_of,
)
from ondevice_bench.report.judge import Judge
from ondevice_bench.report.plotly_builder import Canvas
from ondevice_bench.report.sections.section import Plot, ReportData, Section

FADED = 0.4
HEIGHT = 400
INSIDE, OUTSIDE = "circle", "x"  # the marks of points that meet the goal, and of others
ALL_LABELS = 12  # so many points have a label each; the page's script knows it
MOST_LABELS = 30  # if there are more points, only the points of the front have labels
JUDGED = "The cosine is the lowest of all comparisons. A method is judged by it."


def _best(
    members: Sequence[CellWithBaseline], across: str, up: str, judge: Judge
) -> list[CellWithBaseline]:
    """Of the members that meet the goal, those that no other one beats, from left to right."""
    meeting = judge.meeting(members)
    is_best = front([(cost_of(member, across), cost_of(member, up)) for member in meeting])
    best = [member for member, is_on in zip(meeting, is_best, strict=True) if is_on]
    return sorted(best, key=lambda member: AXES[across].value(member) or 0.0)


def _against(across: str, up: str, judge: Judge) -> Callable[[Group], Canvas | None]:
    """A scatter plot of two quantities. It needs two cells that have both."""

    def draw(group: Group) -> Canvas | None:
        both = _shown(group, across, up, judge)
        if not both:
            return None
        best = _best(both, across, up, judge)
        plot = Canvas()
        _add_front(plot, best, across, up)
        labels = {member.label for member in best}
        named = _named(both, labels)
        # a point of the front lies above all others
        for method, members in sorted(
            _by_method(both), key=lambda each: any(m.label in labels for m in each[1])
        ):
            _add_points(
                plot,
                method,
                members,
                judge,
                named,
                values=_values_text(across, up),
                opacity=[
                    1.0 if m.label in labels or judge.why_outside(m) else FADED for m in members
                ],
                x=scaled_values(members, across),
                y=scaled_values(members, up),
                **({} if len(both) > ALL_LABELS else _intervals(method, members, across, up)),
            )
        plot.lay_out(height=HEIGHT, showlegend=False)
        plot.x_axis(**_axis_settings(both, across))
        plot.y_axis(**_axis_settings(both, up))
        if across == COSINE:
            least = judge.goal.min_cosine
            plot.limit("x", least, f"goal: at least {least:g}")
        if across == PEAK:
            drawing.memory_limit(plot, "x", group.limit_bytes, max(values_of(both, PEAK)))
        if up == PEAK:
            drawing.memory_limit(plot, "y", group.limit_bytes, max(values_of(both, PEAK)))
        return plot

    return draw


def _says(across: str, up: str, judge: Judge) -> Callable[[Group], str]:
    """The front in words. If an exact method is the best in all, it says so of the other axis."""
    noisy = [name for name in (across, up) if is_noisy(name)]

    def say(group: Group) -> str:
        both = _shown(group, across, up, judge)
        best, is_part = _best(both, across, up, judge), len(judge.meeting(both)) < len(both)
        if across == COSINE and len(best) == 1 and gradient_quality(best[0]).is_exact:
            others = _approximate(judge.meeting(both))
            return sentences.exact_is_lowest(best[0], others, up, is_part=is_part)
        return sentences.on_the_front(best, noisy, is_part=is_part)

    return say


def own_axes(group: Group, judge: Judge) -> Canvas | None:
    """Every quantity that at least two cells have. The page's script draws the chosen two.

    What was not measured is null. The script finds the front for each choice.
    """
    axes = [name for name in AXES if len(_having(group, name)) > 1]
    if len(axes) < 3:
        return None
    plot = Canvas()
    _add_front(plot, (), *axes[:2])
    named = _named(group.members, set())
    for method, members in _by_method(group.members):
        _add_points(
            plot,
            method,
            members,
            judge,
            named,
            values="%{xaxis.title.text}: %{x:,.4~r}<br>%{yaxis.title.text}: %{y:,.4~r}",
            meta={name: scaled_values(members, name) for name in axes},
        )
    plot.lay_out(
        height=HEIGHT,
        showlegend=False,
        meta={
            "axes": {name: AXES[name].title for name in axes},
            "more": [name for name in axes if not AXES[name].lower_is_better],
            "log": [name for name in axes if drawing.needs_log(values_of(group.members, name))],
            "logAxis": drawing.LOG_AXIS,
            "faded": FADED,
            "outside": OUTSIDE,
        },
    )
    return plot


def _shown(group: Group, across: str, up: str, judge: Judge) -> list[CellWithBaseline]:
    """The members of a plot; none if it would show nothing, as if all have the same cosine.

    If no approximate method meets the goal, one plot of cosines says so.
    """
    both = _having(group, across, up)
    is_flat = across == COSINE and len(set(values_of(both, COSINE))) < 2
    if len(both) < 2 or is_flat:
        return []
    is_second = (across, up) == (COSINE, PEAK) and bool(_shown(group, COSINE, STEP, judge))
    return [] if is_second and not _approximate(judge.meeting(both)) else both


def _approximate(members: Sequence[CellWithBaseline]) -> list[CellWithBaseline]:
    return [member for member in members if not gradient_quality(member).is_exact]


def _having(group: Group, *names: str) -> list[CellWithBaseline]:
    return [m for m in group.members if all(AXES[name].value(m) is not None for name in names)]


def _named(members: Sequence[CellWithBaseline], best: AbstractSet[str]) -> set[str]:
    """The labels that stand beside their points: all, or those of the front and one of a method."""
    if len(members) <= ALL_LABELS:
        return {member.label for member in members}
    names = set(best)
    if len(members) > MOST_LABELS:
        return names
    for _, ranks in _by_method(members):
        if not any(member.label in names for member in ranks):
            names.add(ranks[0].label)
    return names


def _add_front(plot: Canvas, best: Sequence[CellWithBaseline], across: str, up: str) -> None:
    """The front as steps: what lies on its good side was not reached."""
    lower = AXES[across].lower_is_better
    plot.add(
        "scatter",
        x=scaled_values(best, across),
        y=scaled_values(best, up),
        mode="lines",
        line={
            "shape": "hv" if lower else "vh",
            "color": "rgba(128,128,128,0.55)",
            "width": 1.5,
        },
        hoverinfo="skip",
        name="front",
    )


def _add_points(
    plot: Canvas,
    method: str,
    members: Sequence[CellWithBaseline],
    judge: Judge,
    named: AbstractSet[str],
    *,
    values: str,
    opacity: Sequence[float] | float = 1.0,
    **places: Any,
) -> None:
    """The points of one method, joined by a dotted line. A tooltip says what a cross is."""
    reasons = [judge.why_outside(member) for member in members]
    plot.add(
        "scatter",
        **places,
        mode="lines+markers+text",
        name=method,
        text=[m.label if m.label in named else "" for m in members],
        hovertext=[m.label for m in members],
        customdata=[" does not meet the goal" if reason else "" for reason in reasons],
        textposition="top center",
        textfont={"size": 10},
        marker={
            "size": 11,
            "symbol": [OUTSIDE if reason else INSIDE for reason in reasons],
            "color": drawing.colour(method),
            "line": {"width": 1, "color": "rgba(128,128,128,0.6)"},
            "opacity": opacity,
        },
        line={"color": drawing.colour(method), "width": 1, "dash": "dot"},
        cliponaxis=False,
        hovertemplate=f"%{{hovertext}}%{{customdata}}<br>{values}<extra></extra>",
    )


def _by_method(members: Sequence[CellWithBaseline]) -> Iterator[tuple[str, list[CellWithBaseline]]]:
    for method in dict.fromkeys(member.method for member in members):
        yield method, [member for member in members if member.method == method]


def _intervals(
    method: str, members: Sequence[CellWithBaseline], across: str, up: str
) -> dict[str, Any]:
    """The intervals of noisy numbers."""
    return {
        f"error_{axis}": drawing.error_bars(
            [member.cell.estimates[name] for member in members], AXES[name].scale, method
        )
        for axis, name in (("x", across), ("y", up))
        if is_noisy(name)
    }


def _values_text(across: str, up: str) -> str:
    """Both values with their units, for a tooltip."""
    values = (f"%{{{axis}:,.4~r}} {AXES[name].unit}" for axis, name in (("x", across), ("y", up)))
    return " · ".join(map(str.strip, values))


def _axis_settings(members: Sequence[CellWithBaseline], name: str) -> dict[str, Any]:
    """The title of an axis with the direction that is better, and its scale."""
    better = "less" if AXES[name].lower_is_better else "more"
    title = f"{AXES[name].title} ({better} is better)"
    crowded = () if name == PEAK else values_of(members, name)  # a limit needs a linear axis
    return drawing.scaled_axis(title, crowded)


def _lead(group: Group, judge: Judge) -> str:
    """What the marks of these plots mean. It names only what they show."""
    outside = [member for member in group.members if judge.why_outside(member)]
    point = "circle" if outside else "point"
    lines = ["Each point is one cell."]
    if outside:
        lines.append(f"A cross does not meet the goal of the suite: {_asked(outside, judge)}.")
    lines.append(
        f"A {point} is faint if another {point} is at least as good in both numbers and better in "
        f"one. The other {point}s are the best trade-offs. If there are several, a grey line joins "
        "them."
    )
    if any(len(members) > 1 for _, members in _by_method(group.members)):
        lines.append("A dotted line joins cells of the same method.")
    if _having(group, STEP) or _having(group, PEAK):
        shown = "" if len(group.members) > ALL_LABELS else ", with intervals as thin bars"
        lines.append(
            f"Step times and peaks are medians{shown}. Noise may change the order of close points."
        )
    return " ".join(lines)


def _asked(outside: Sequence[CellWithBaseline], judge: Judge) -> str:
    """The bounds of the goal, and what else these cells lack."""
    asked = [bounds(judge.goal)]
    if any(diverges(member.cell) for member in outside):
        asked.append("a finite loss after ten steps")
    if any(member.cell.id in judge.lost_accuracy for member in outside):
        asked.append("the accuracy of the baseline where it was trained")
    return ", ".join(asked)


def _plot(name: str, caption: str, across: str, up: str, judge: Judge) -> Plot:
    draw, says = _against(across, up, judge), _says(across, up, judge)
    return Plot(name, caption, draw, says=says)


def plots(judge: Judge) -> tuple[Plot, ...]:
    """Two numbers against each other, and a plot with axes to choose."""
    return (
        _plot(
            "memory-time",
            "Peak memory and step time: how much time does a smaller peak cost?",
            PEAK,
            STEP,
            judge,
        ),
        _plot(
            "activations-flops",
            "Activations and FLOPs: how much more must a step compute if it stores less? Both are "
            "exact counts. FLOPs leave out factorisations and element-wise work.",
            ACTIVATIONS,
            "step_flops",
            judge,
        ),
        _plot(
            "cosine-time",
            "Gradient cosine and step time: how much time does an approximate gradient save? "
            f"{JUDGED}",
            COSINE,
            STEP,
            judge,
        ),
        _plot(
            "cosine-memory",
            "Gradient cosine and peak memory: how much memory does an approximate gradient save? "
            f"{JUDGED}",
            COSINE,
            PEAK,
            judge,
        ),
        Plot(
            "own-axes",
            "All cells, on two axes.",
            lambda group: own_axes(group, judge),
            is_wide=True,
            says=lambda _: sentences.SENTENCES["own axes"],
            hint="Choose the two numbers above the plot.",
        ),
    )


def content(data: ReportData) -> Mapping[str, Any] | None:
    """What the marks mean, for each group. Without a plot there is nothing to explain."""
    judge, shown = data.judge, [group.of_first_seed for group in data.groups]
    if not any(plot.draw(group) for group in shown for plot in plots(judge)):
        return None
    return {"leads": [_lead(group, judge) for group in shown]}


SECTION = Section(
    name="fronts",
    title="Trade-offs",
    content=content,
    plots_of=lambda data: plots(data.judge),
)
