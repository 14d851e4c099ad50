"""Two costs against each other. Points that no other point beats stand out."""

from collections.abc import Callable, Iterator, Sequence
from collections.abc import Set as AbstractSet

from ondevice_bench import metrics, units
from ondevice_bench.analyse.gradient import has_exact_gradient
from ondevice_bench.analyse.groups import CellWithBaseline, Group
from ondevice_bench.analyse.pareto import front
from ondevice_bench.report import drawing, sentences
from ondevice_bench.report.plotly_builder import Canvas
from ondevice_bench.report.sections.section import Plot, Section

FADED = 0.35
HEIGHT = 400
MOST_LABELS = 30  # more points than that have no words beside them
HOVER = "%{hovertext}<br>%{customdata[0]} · %{customdata[1]}<extra></extra>"
PEAK, STEP, ACTIVATIONS, COSINE = (
    "peak_rss_over_runtime_bytes",
    "step_seconds",
    "activation_bytes",
    "gradient_cosine_first",
)
# the plot of own axes begins with the first one across and the second one up
AXES = tuple(dict.fromkeys((ACTIVATIONS, STEP, PEAK, *metrics.with_role("axis"))))


def _against(across: str, up: str) -> Callable[[Group], Canvas | None]:
    """A scatter plot of two metrics. It needs two methods that have both."""

    def draw(group: Group) -> Canvas | None:
        both = _having(group, across, up)
        if len(both) < 2:
            return None
        best = _on_front(both, across, up)
        plot = Canvas()
        _add_front(plot, best, across, up)
        labels = {member.label for member in best}
        named = _named(both, labels)
        for method, members in _by_method(both):
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
                customdata=[[_text(m, across), _text(m, up)] for m in members],
                marker={
                    **_marker(method),
                    "opacity": [1.0 if m.label in labels else FADED for m in members],
                },
                line={"color": drawing.colour(method), "width": 1, "dash": "dot"},
                cliponaxis=False,
                hovertemplate=HOVER,
            )
        plot.lay_out(height=HEIGHT, showlegend=False)
        plot.x_axis(_title(across))
        plot.y_axis(_title(up), automargin=True)
        return plot

    return draw


def _says(across: str, up: str) -> Callable[[Group], str]:
    def say(group: Group) -> str:
        best = _on_front(_having(group, across, up), across, up)
        return sentences.on_the_front([member.label for member in best])

    return say


def own_axes(group: Group) -> Canvas | None:
    """Every metric that at least two methods have. The page's script draws the chosen two.

    What was not measured is null. The script finds the front for each choice.
    """
    measured = [set(member.cell.estimates) for member in group.members]
    axes = [name for name in AXES if sum(name in each for each in measured) > 1]
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
            hovertemplate="%{hovertext}<br>%{x:.4g} · %{y:.4g}<extra></extra>",
            meta={name: _scaled(members, name) for name in axes},
        )
    titles = {name: drawing.axis_of(name)[1] for name in axes}
    more = [name for name in axes if not metrics.BY_NAME[name].lower_is_better]
    plot.lay_out(
        height=HEIGHT, showlegend=False, meta={"axes": titles, "more": more, "faded": FADED}
    )
    plot.y_axis(automargin=True)
    return plot


def _having(group: Group, *names: str) -> list[CellWithBaseline]:
    return [m for m in group.members if set(names) <= set(m.cell.estimates)]


def _on_front(members: Sequence[CellWithBaseline], across: str, up: str) -> list[CellWithBaseline]:
    """The members that no other one beats, from left to right."""
    is_best = front([(_cost(member, across), _cost(member, up)) for member in members])
    best = [member for member, is_on in zip(members, is_best, strict=True) if is_on]
    return sorted(best, key=lambda member: member.cell.estimates[across].estimate)


def _named(members: Sequence[CellWithBaseline], best: AbstractSet[str]) -> set[str]:
    """The labels that stand beside their points: those of the front, and one for each method."""
    if len(members) > MOST_LABELS:
        return set()
    names = set(best)
    for _, ranks in _by_method(members):
        if not any(member.label in names for member in ranks):
            names.add(ranks[0].label)
    return names


def _add_front(plot: Canvas, best: Sequence[CellWithBaseline], across: str, up: str) -> None:
    """The front as steps: what lies on its good side was not reached."""
    lower = metrics.BY_NAME[across].lower_is_better
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


def _scaled(members: Sequence[CellWithBaseline], name: str) -> list[float | None]:
    scale, _ = drawing.axis_of(name)
    estimates = [member.cell.estimates.get(name) for member in members]
    return [None if each is None else each.estimate * scale for each in estimates]


def _text(member: CellWithBaseline, name: str) -> str:
    return units.quantity(member.cell.estimates[name].estimate, metrics.BY_NAME[name].unit)


def _title(name: str) -> str:
    """The title of an axis, with the direction that is better."""
    better = "less" if metrics.BY_NAME[name].lower_is_better else "more"
    return f"{drawing.axis_of(name)[1]} ({better} is better)"


def _marker(method: str) -> dict[str, object]:
    return {
        "size": 11,
        "color": drawing.colour(method),
        "line": {"width": 1, "color": "rgba(128,128,128,0.6)"},
    }


def _cost(member: CellWithBaseline, name: str) -> float:
    """A cost, of which less is better. Where more is better, the sign is turned."""
    value = _value(member, name)
    return value if metrics.BY_NAME[name].lower_is_better else -value


def _value(member: CellWithBaseline, name: str) -> float:
    """The value of a metric. Rounding does not make an exact gradient worse than another one."""
    is_exact = name == COSINE and has_exact_gradient(member.method)
    return 1.0 if is_exact else member.cell.estimates[name].estimate


def _plot(name: str, caption: str, across: str, up: str) -> Plot:
    return Plot(name, caption, _against(across, up), says=_says(across, up))


SECTION = Section(
    name="fronts",
    title="Trade-offs",
    text="Each point is one cell. The grey line is the front: a point is pale if another point is "
    "at least as good in both numbers and better in one. Dotted lines join the ranks of a method. "
    "These plots do not show intervals; the table has them.",
    plots=(
        _plot("memory-time", "Peak memory and step time", PEAK, STEP),
        _plot("activations-flops", "Activations and FLOPs, both exact", ACTIVATIONS, "step_flops"),
        _plot("cosine-time", "Gradient cosine at step 1, and step time", COSINE, STEP),
        _plot("cosine-memory", "Gradient cosine at step 1, and peak memory", COSINE, PEAK),
        Plot("own-axes", "Any two numbers against each other", own_axes, is_wide=True),
    ),
)
