"""Two costs against each other. Points that no other point beats stand out."""

from collections.abc import Callable, Iterator, Sequence

from ondevice_bench import metrics
from ondevice_bench.analyse.groups import CellWithBaseline, Group
from ondevice_bench.analyse.pareto import front
from ondevice_bench.report import drawing
from ondevice_bench.report.plotly_builder import Canvas
from ondevice_bench.report.sections.section import Plot, Section

FADED = 0.28
HEIGHT = 380
HOVER = "%{text}<br>%{x:.4g} × %{y:.4g}<extra></extra>"
PEAK, STEP = "peak_rss_over_runtime_bytes", "step_seconds"
# the plot begins with the first one across and the second one up
AXES = tuple(dict.fromkeys((PEAK, STEP, *metrics.with_role("axis"))))


def _against(across: str, up: str) -> Callable[[Group], Canvas | None]:
    """A scatter plot of two metrics. It needs two methods that have both."""

    def draw(group: Group) -> Canvas | None:
        both = [m for m in group.members if {across, up} <= set(m.cell.estimates)]
        if len(both) < 2:
            return None
        best = dict(
            zip((m.label for m in both), front([_costs(m, across, up) for m in both]), strict=True)
        )
        plot = Canvas()
        for method, members in _by_method(both):
            plot.add(
                "scatter",
                x=_scaled(members, across),
                y=_scaled(members, up),
                mode="markers",
                name=method,
                text=[m.label for m in members],
                marker={
                    **_marker(method),
                    "opacity": [1.0 if best[m.label] else FADED for m in members],
                },
                hovertemplate=HOVER,
            )
        plot.lay_out(height=HEIGHT)
        plot.x_axis(drawing.axis_of(across)[1])
        plot.y_axis(drawing.axis_of(up)[1], automargin=True)
        return plot

    return draw


def own_axes(group: Group) -> Canvas | None:
    """Every metric that at least two methods have. The page's script draws the chosen two.

    What was not measured is null. The script finds the front for each choice.
    """
    measured = [set(member.cell.estimates) for member in group.members]
    axes = [name for name in AXES if sum(name in each for each in measured) > 1]
    if len(axes) < 3:
        return None
    plot = Canvas()
    for method, members in _by_method(group.members):
        plot.add(
            "scatter",
            mode="markers",
            name=method,
            text=[m.label for m in members],
            marker=_marker(method),
            hovertemplate=HOVER,
            meta={name: _scaled(members, name) for name in axes},
        )
    titles = {name: drawing.axis_of(name)[1] for name in axes}
    more = [name for name in axes if not metrics.BY_NAME[name].lower_is_better]
    plot.lay_out(height=HEIGHT, meta={"axes": titles, "more": more, "faded": FADED})
    plot.y_axis(automargin=True)
    return plot


def _by_method(members: Sequence[CellWithBaseline]) -> Iterator[tuple[str, list[CellWithBaseline]]]:
    for method in dict.fromkeys(member.method for member in members):
        yield method, [member for member in members if member.method == method]


def _scaled(members: Sequence[CellWithBaseline], name: str) -> list[float | None]:
    scale, _ = drawing.axis_of(name)
    estimates = [member.cell.estimates.get(name) for member in members]
    return [None if each is None else each.estimate * scale for each in estimates]


def _marker(method: str) -> dict[str, object]:
    return {
        "size": 11,
        "color": drawing.colour(method),
        "line": {"width": 1, "color": "rgba(128,128,128,0.6)"},
    }


def _costs(member: CellWithBaseline, *names: str) -> list[float]:
    """Costs, of which less is better. Where more is better, the sign is turned."""
    signs = [1 if metrics.BY_NAME[name].lower_is_better else -1 for name in names]
    values = (member.cell.estimates[name].estimate for name in names)
    return [sign * value for sign, value in zip(signs, values, strict=True)]


SECTION = Section(
    name="fronts",
    title="Trade-offs",
    text="Each point is one cell. A point is pale if another point is at least as good in both "
    "numbers and better in one. These plots do not show intervals; the table has them.",
    plots=(
        Plot(
            "memory-time",
            "Peak memory and step time",
            _against(PEAK, STEP),
        ),
        Plot(
            "activations-flops",
            "Activations and FLOPs, both exact",
            _against("activation_bytes", "step_flops"),
        ),
        Plot(
            "cosine-time",
            "Gradient cosine and step time",
            _against("gradient_cosine", STEP),
        ),
        Plot(
            "cosine-memory",
            "Gradient cosine and peak memory",
            _against("gradient_cosine", PEAK),
        ),
        Plot("own-axes", "Any two numbers against each other", own_axes, is_wide=True),
    ),
)
