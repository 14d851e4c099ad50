"""What ranks cost: a curve for each method, as multiples of the baseline."""

from collections.abc import Callable, Sequence

from ondevice_bench import metrics, units
from ondevice_bench.analyse.gradient import cosine_text, lowest_cosine
from ondevice_bench.analyse.groups import CellWithBaseline, Group
from ondevice_bench.report import drawing
from ondevice_bench.report.plotly_builder import Canvas
from ondevice_bench.report.sections.section import Plot, Section
from ondevice_bench.report.sentences import noun_of, ranks
from ondevice_bench.stats import is_too_wide

RULES = ("epsilon", "fraction", "rank", "trained", "weight_rank", "weight_epsilon", "radius")
HEIGHT = 320
Points = list[tuple[float, float]]  # values of a rule, and what they give
ValueOf = Callable[[CellWithBaseline], float | None]


def _curve(label: str, value_of: ValueOf, baseline: str = "") -> Callable[[Group], Canvas | None]:
    """A number over the value of a rank rule, for methods that ran with several values.

    `baseline` has the words beside a line at 1, if 1 is the baseline.
    """

    def draw(group: Group) -> Canvas | None:
        several = _lines(group, value_of)
        if not several:
            return None
        plot = Canvas()
        looks = drawing.lines(method for method, _, _ in several)
        for ((method, rule, settings), points), look in zip(several.items(), looks, strict=True):
            plot.add(
                "scatter",
                x=[x for x, _ in points],
                y=[y for _, y in points],
                mode="lines+markers",
                name=f"{method}, by {rule}{settings}",
                line={**look, "width": 2},
                hovertemplate=f"{rule} %{{x:,.4~r}}: %{{y:.3~r}}{'×' if baseline else ''}"
                "<extra>%{fullData.name}</extra>",
            )
        rules = " or ".join(dict.fromkeys(rule for _, rule, _ in several))
        plot.lay_out(height=HEIGHT, showlegend=True)
        plot.x_axis(rules)
        plot.y_axis(label, rangemode="tozero")
        if baseline:
            plot.level(1.0, baseline)
        return plot

    return draw


def _lines(group: Group, value_of: ValueOf) -> dict[tuple[str, str, str], Points]:
    """The points of each method with several ranks, by method, rule and other settings."""
    lines: dict[tuple[str, str, str], Points] = {}
    for member in group.members:
        rank, value = _rank(member), value_of(member)
        if rank is not None and value is not None:
            key = (member.method, rank[0], _other_settings(member, rank[0]))
            lines.setdefault(key, []).append((rank[1], value))
    return {key: sorted(points) for key, points in lines.items() if len(points) > 1}


def _says(noun: str, value_of: ValueOf, text: Callable[[float], str]) -> Callable[[Group], str]:
    """What the lowest and the highest value of each rule give."""

    def say(group: Group) -> str:
        ends = {
            (f"{method}{settings}", rule): (points[0], points[-1])
            for (method, rule, settings), points in _lines(group, value_of).items()
        }
        return ranks(ends, noun, text)

    return say


def _multiples(name: str, caption: str, metric: str) -> Plot:
    """A figure of the metric as a multiple of the baseline's."""
    described = metrics.BY_NAME[metric]

    def value_of(member: CellWithBaseline) -> float | None:
        ratio = member.ratio(metric)
        return None if ratio is None else ratio.estimate

    def usable(member: CellWithBaseline) -> float | None:
        ratio = member.ratio(metric)
        return None if ratio is None or is_too_wide(ratio) else ratio.estimate

    draw = _curve(f"{described.noun}, × baseline", value_of, "baseline")
    return Plot(name, caption, draw, says=_says(noun_of(described), usable, units.ratio))


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
    text="Each line is a method that ran with several ranks. Costs are multiples of the baseline. "
    "The dashed line is the baseline.",
    plots=(
        _multiples("rank-step", "Step time.", "step_seconds"),
        _multiples("rank-peak", "Peak memory.", "peak_rss_over_runtime_bytes"),
        _multiples("rank-activations", "Activations of the whole network.", "activation_bytes"),
        Plot(
            "rank-cosine",
            "Gradient cosine: the lowest value of all comparisons. A method is judged by it.",
            _curve("lowest gradient cosine", lowest_cosine),
            says=_says("lowest gradient cosine", lowest_cosine, cosine_text),
        ),
    ),
)
