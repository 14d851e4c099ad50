"""What ranks cost: a curve for each method, as multiples of the baseline."""

from collections.abc import Callable, Sequence

from ondevice_bench import metrics
from ondevice_bench.analyse.gradient import lowest_cosine
from ondevice_bench.analyse.groups import CellWithBaseline, Group
from ondevice_bench.report import drawing
from ondevice_bench.report.plotly_builder import Canvas
from ondevice_bench.report.sections.section import Plot, Section

RULES = ("epsilon", "fraction", "rank", "trained", "weight_rank", "weight_epsilon", "radius")
HEIGHT = 320


def _curve(
    label: str, value_of: Callable[[CellWithBaseline], float | None]
) -> Callable[[Group], Canvas | None]:
    """A number over the value of a rank rule, for methods that ran with several values."""

    def draw(group: Group) -> Canvas | None:
        lines: dict[tuple[str, str, str], list[tuple[float, float]]] = {}
        for member in group.members:
            rank, value = _rank(member), value_of(member)
            if rank is not None and value is not None:
                key = (member.method, rank[0], _other_settings(member, rank[0]))
                lines.setdefault(key, []).append((rank[1], value))
        several = {key: sorted(points) for key, points in lines.items() if len(points) > 1}
        if not several:
            return None
        plot = Canvas()
        for (method, rule, settings), points in several.items():
            plot.add(
                "scatter",
                x=[x for x, _ in points],
                y=[y for _, y in points],
                mode="lines+markers",
                name=f"{method}, by {rule}{settings}",
                line={"color": drawing.colour(method), "width": 2},
                hovertemplate="%{x:,.4~r}: %{y:.3~r}<extra>%{fullData.name}</extra>",
            )
        rules = " or ".join(dict.fromkeys(rule for _, rule, _ in several))
        plot.lay_out(height=HEIGHT, showlegend=True)
        plot.x_axis(rules)
        plot.y_axis(label, rangemode="tozero", automargin=True)
        return plot

    return draw


def _multiples(metric: str) -> Callable[[Group], Canvas | None]:
    """The metric as a multiple of the baseline's."""

    def value_of(member: CellWithBaseline) -> float | None:
        ratio = member.ratio(metric)
        return None if ratio is None else ratio.estimate

    return _curve(f"{metrics.BY_NAME[metric].noun}, × baseline", value_of)


def _rank(member: CellWithBaseline) -> tuple[str, float] | None:
    for name, value in member.cell.planned.cell.method_options:
        rule = name.rpartition(".")[2]
        if rule in RULES and isinstance(value, (int, float)):
            return rule, float(value)
    return None


def _other_settings(member: CellWithBaseline, rule: str) -> str:
    """The differences between the curves of one method: other options, layers and seed."""
    _, _, layers_and_seed = member.label.partition(" · ")
    options: Sequence[str] = [
        f"{name}={value}"
        for name, value in member.cell.planned.cell.method_options
        if name.rpartition(".")[2] != rule
    ]
    settings = ", ".join([*options, *filter(None, [layers_and_seed])])
    return f" ({settings})" if settings else ""


SECTION = Section(
    name="ranks",
    title="What ranks cost",
    text="Each line is a method that ran with several ranks. Costs are multiples of the baseline.",
    plots=(
        Plot("rank-step", "Step time", _multiples("step_seconds")),
        Plot("rank-peak", "Peak memory", _multiples("peak_rss_over_runtime_bytes")),
        Plot(
            "rank-activations", "Activations of the whole network", _multiples("activation_bytes")
        ),
        Plot(
            "rank-cosine",
            "Gradient cosine, the lowest of all moments: a method is judged by it",
            _curve("lowest gradient cosine", lowest_cosine),
        ),
    ),
)
