"""What ranks cost: a curve for each method, as multiples of the baseline."""

from collections.abc import Callable, Sequence

from ondevice_bench import metrics
from ondevice_bench.analyse.groups import CellWithBaseline, Group
from ondevice_bench.report import drawing
from ondevice_bench.report.plotly_builder import Canvas
from ondevice_bench.report.sections.section import Plot, Section

RULES = ("epsilon", "fraction", "rank", "trained", "weight_rank", "weight_epsilon", "radius")
HEIGHT = 320


def _curve(metric: str, *, is_ratio: bool = True) -> Callable[[Group], Canvas | None]:
    """The metric over the value of a rank rule, for methods that ran with several values."""

    def draw(group: Group) -> Canvas | None:
        lines: dict[tuple[str, str, str], list[tuple[float, float]]] = {}
        for member in group.members:
            rank, value = _rank(member), _value(member, metric, is_ratio=is_ratio)
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
                hovertemplate="%{x:g}: %{y:.3g}<extra>%{fullData.name}</extra>",
            )
        label = metrics.BY_NAME[metric].label
        rules = " or ".join(dict.fromkeys(rule for _, rule, _ in several))
        plot.lay_out(height=HEIGHT)
        plot.x_axis(rules)
        title = f"{label}, × baseline" if is_ratio else label
        plot.y_axis(title, rangemode="tozero", automargin=True)
        return plot

    return draw


def _value(member: CellWithBaseline, metric: str, *, is_ratio: bool) -> float | None:
    estimate = member.ratio(metric) if is_ratio else member.cell.estimates.get(metric)
    return None if estimate is None else estimate.estimate


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
        Plot("rank-step", "Step time", _curve("step_seconds")),
        Plot("rank-peak", "Peak RSS over runtime", _curve("peak_rss_over_runtime_bytes")),
        Plot("rank-activations", "Activations of the whole network", _curve("activation_bytes")),
        Plot("rank-cosine", "Gradient cosine", _curve("gradient_cosine", is_ratio=False)),
    ),
)
