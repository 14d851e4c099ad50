"""Two costs against each other. Points that no other point beats stand out."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Any

from ondevice_bench import metrics, units
from ondevice_bench.analyse.gradient import lowest_cosine
from ondevice_bench.analyse.groups import CellWithBaseline, Group
from ondevice_bench.analyse.pareto import front
from ondevice_bench.report import drawing, sentences
from ondevice_bench.report.plotly_builder import Canvas
from ondevice_bench.report.sections.section import Plot, Section

FADED = 0.45
HEIGHT = 400
MOST_LABELS = 30  # if there are more points, only the points of the front have labels
JUDGED = "The cosine is the lowest of all comparisons. A method is judged by it."
PEAK, STEP, ACTIVATIONS, COSINE = (
    "peak_rss_over_runtime_bytes",
    "step_seconds",
    "activation_bytes",
    "lowest cosine",
)


@dataclass(frozen=True)
class Axis:
    """What a point's place on an axis means. `value` is None if nothing was measured."""

    title: str
    value: Callable[[CellWithBaseline], float | None]
    unit: str = ""
    scale: float = 1.0
    lower_is_better: bool = True


def _axis_of(name: str) -> Axis:
    """The axis of a metric."""
    metric = metrics.BY_NAME[name]
    scale, title = drawing.axis_of(name)

    def value(member: CellWithBaseline) -> float | None:
        estimate = member.cell.estimates.get(name)
        return None if estimate is None else estimate.estimate

    return Axis(title, value, units.axis(metric.unit)[1], scale, metric.lower_is_better)


# the plot of own axes begins with the first one across and the second one up
AXES: Mapping[str, Axis] = {
    **{name: _axis_of(name) for name in (ACTIVATIONS, STEP, PEAK)},
    COSINE: Axis("lowest gradient cosine", lowest_cosine, lower_is_better=False),
    **{name: _axis_of(name) for name in ("step_flops", *metrics.with_role("axis"))},
}


def _against(across: str, up: str) -> Callable[[Group], Canvas | None]:
    """A scatter plot of two quantities. It needs two cells that have both."""

    def draw(group: Group) -> Canvas | None:
        both = _having(group, across, up)
        if len(both) < 2:
            return None
        best = _on_front(both, across, up)
        plot = Canvas()
        _add_front(plot, best, across, up)
        labels = {member.label for member in best}
        named = _named(both, labels)
        # a point of the front lies above all others
        for method, members in sorted(
            _by_method(both), key=lambda each: any(m.label in labels for m in each[1])
        ):
            plot.add(
                "scatter",
                x=_scaled(members, across),
                y=_scaled(members, up),
                mode="lines+markers+text",
                name=method,
                text=[m.label if m.label in named else "" for m in members],
                hovertext=[m.label for m in members],
                textposition="top center",
                textfont={"size": 10},
                marker={
                    **_marker(method),
                    "opacity": [1.0 if m.label in labels else FADED for m in members],
                },
                line={"color": drawing.colour(method), "width": 1, "dash": "dot"},
                cliponaxis=False,
                hovertemplate=_hover(across, up),
            )
        plot.lay_out(height=HEIGHT, showlegend=False)
        plot.x_axis(**_axis_settings(both, across))
        plot.y_axis(**_axis_settings(both, up))
        if across == PEAK:
            drawing.memory_limit(plot, "x", group.limit_bytes, max(_values(both, PEAK)))
        if up == PEAK:
            drawing.memory_limit(plot, "y", group.limit_bytes, max(_values(both, PEAK)))
        return plot

    return draw


def _says(across: str, up: str) -> Callable[[Group], str]:
    def say(group: Group) -> str:
        best = _on_front(_having(group, across, up), across, up)
        noisy = (metrics.BY_NAME[n].kind == "noisy" for n in (across, up) if n in metrics.BY_NAME)
        return sentences.on_the_front([member.label for member in best], is_exact=not any(noisy))

    return say


def own_axes(group: Group) -> Canvas | None:
    """Every quantity that at least two cells have. The page's script draws the chosen two.

    What was not measured is null. The script finds the front for each choice.
    """
    axes = [name for name in AXES if len(_having(group, name)) > 1]
    if len(axes) < 3:
        return None
    plot = Canvas()
    named = _named(group.members, set())
    for method, members in _by_method(group.members):
        plot.add(
            "scatter",
            mode="markers+text",
            name=method,
            text=[m.label if m.label in named else "" for m in members],
            hovertext=[m.label for m in members],
            textposition="top center",
            textfont={"size": 10},
            marker=_marker(method),
            cliponaxis=False,
            hovertemplate="%{hovertext}<br>%{xaxis.title.text}: %{x:,.4~r}"
            "<br>%{yaxis.title.text}: %{y:,.4~r}<extra></extra>",
            meta={name: _scaled(members, name) for name in axes},
        )
    plot.lay_out(
        height=HEIGHT,
        showlegend=False,
        meta={
            "axes": {name: AXES[name].title for name in axes},
            "more": [name for name in axes if not AXES[name].lower_is_better],
            "log": [name for name in axes if drawing.needs_log(_values(group.members, name))],
            "logAxis": drawing.LOG_AXIS,
            "faded": FADED,
        },
    )
    return plot


def _having(group: Group, *names: str) -> list[CellWithBaseline]:
    return [m for m in group.members if all(AXES[name].value(m) is not None for name in names)]


def _on_front(members: Sequence[CellWithBaseline], across: str, up: str) -> list[CellWithBaseline]:
    """The members that no other one beats, from left to right."""
    is_best = front([(_cost(member, across), _cost(member, up)) for member in members])
    best = [member for member, is_on in zip(members, is_best, strict=True) if is_on]
    return sorted(best, key=lambda member: AXES[across].value(member) or 0.0)


def _named(members: Sequence[CellWithBaseline], best: AbstractSet[str]) -> set[str]:
    """The labels that stand beside their points: those of the front, and one for each method."""
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
        x=_scaled(best, across),
        y=_scaled(best, up),
        mode="lines",
        line={
            "shape": "hv" if lower else "vh",
            "color": "rgba(128,128,128,0.55)",
            "width": 1.5,
        },
        hoverinfo="skip",
        name="front",
    )


def _by_method(members: Sequence[CellWithBaseline]) -> Iterator[tuple[str, list[CellWithBaseline]]]:
    for method in dict.fromkeys(member.method for member in members):
        yield method, [member for member in members if member.method == method]


def _values(members: Sequence[CellWithBaseline], name: str) -> list[float]:
    """The values that are known."""
    return [value for member in members if (value := AXES[name].value(member)) is not None]


def _scaled(members: Sequence[CellWithBaseline], name: str) -> list[float | None]:
    axis = AXES[name]
    values = [axis.value(member) for member in members]
    return [None if value is None else value * axis.scale for value in values]


def _hover(across: str, up: str) -> str:
    """What a point says: its cell, and both values with their units."""
    values = (f"%{{{axis}:,.4~r}} {AXES[name].unit}" for axis, name in (("x", across), ("y", up)))
    return f"%{{hovertext}}<br>{' · '.join(map(str.strip, values))}<extra></extra>"


def _axis_settings(members: Sequence[CellWithBaseline], name: str) -> dict[str, Any]:
    """The title of an axis with the direction that is better, and its scale."""
    better = "less" if AXES[name].lower_is_better else "more"
    title = f"{AXES[name].title} ({better} is better)"
    crowded = () if name == PEAK else _values(members, name)  # a limit needs a linear axis
    return drawing.scaled_axis(title, crowded)


def _marker(method: str) -> dict[str, object]:
    return {
        "size": 11,
        "color": drawing.colour(method),
        "line": {"width": 1, "color": "rgba(128,128,128,0.6)"},
    }


def _cost(member: CellWithBaseline, name: str) -> float:
    """A cost, of which less is better. Where more is better, the sign is turned."""
    axis = AXES[name]
    value = axis.value(member)
    assert value is not None
    return value if axis.lower_is_better else -value


def _plot(name: str, caption: str, across: str, up: str) -> Plot:
    return Plot(name, caption, _against(across, up), says=_says(across, up))


SECTION = Section(
    name="fronts",
    title="Trade-offs",
    text="Each point is one cell. A point is pale if another point is at least as good in both "
    "numbers and better in one. The grey line joins the points that are not pale: the best "
    "trade-offs. Dotted lines join the ranks of a method. These plots show no intervals. The table "
    "of every cell has them.",
    plots=(
        _plot("memory-time", "Peak memory and step time.", PEAK, STEP),
        _plot(
            "activations-flops", "Activations and FLOPs. Both are exact.", ACTIVATIONS, "step_flops"
        ),
        _plot("cosine-time", f"Gradient cosine and step time. {JUDGED}", COSINE, STEP),
        _plot("cosine-memory", f"Gradient cosine and peak memory. {JUDGED}", COSINE, PEAK),
        Plot(
            "own-axes",
            "All cells, on two axes.",
            own_axes,
            is_wide=True,
            hint="Choose the two numbers above the plot.",
        ),
    ),
)
