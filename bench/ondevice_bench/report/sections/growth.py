"""How costs grow with the batch: a line for each method, over groups that differ only in it."""

from collections.abc import Callable, Hashable, Sequence

from ondevice_bench import metrics
from ondevice_bench.analyse.groups import CellWithBaseline, Group
from ondevice_bench.analyse.ratios import ratio, ratio_of
from ondevice_bench.analyse.summary import CellSummary
from ondevice_bench.report import drawing
from ondevice_bench.report.plotly_builder import Canvas
from ondevice_bench.report.sections.section import Plot, Section
from ondevice_bench.report.sentences import Growth, growth
from ondevice_bench.stats import Estimate
from ondevice_bench.suite.labels import row_labels

HEIGHT = 320
PEAK = "peak_rss_over_runtime_bytes"
Points = list[tuple[int, CellSummary]]  # a cell for each batch


def _over_batches(metric: str) -> Callable[[Group], Canvas | None]:
    """The metric over the batch, for each method that ran with several."""

    def draw(group: Group) -> Canvas | None:
        several = _lines(group, metric)
        if not several:
            return None
        plot = Canvas()
        scale, title = drawing.axis_of(metric)
        shown = drawing.value_text("y", metric)
        looks = drawing.lines(method for method, _ in several)
        for ((_, label), points), look in zip(several.items(), looks, strict=True):
            plot.add(
                "scatter",
                x=[x for x, _ in points],
                y=[cell.estimates[metric].estimate * scale for _, cell in points],
                mode="lines+markers",
                name=label,
                line={**look, "width": 2},
                hovertemplate=f"batch %{{x}}: {shown}<extra>%{{fullData.name}}</extra>",
            )
        plot.lay_out(height=HEIGHT)
        plot.x_axis("batch, log scale", type="log", dtick=0.30103)
        cells = [cell for points in several.values() for _, cell in points]
        values = [cell.estimates[metric].estimate for cell in cells]
        crowded = () if metric == PEAK else values  # a limit is drawn on a linear axis
        plot.y_axis(**drawing.scaled_axis(title, crowded), rangemode="tozero")
        if metric == PEAK:
            drawing.memory_limit(plot, "y", group.limit_bytes, max(values))
        return plot

    return draw


def _says(metric: str) -> Callable[[Group], str]:
    def say(group: Group) -> str:
        by_method = {
            label: Growth(low, high, _ratio(metric, of_high, of_low))
            for (_, label), ((low, of_low), *_, (high, of_high)) in _lines(group, metric).items()
        }
        return growth(by_method, metrics.BY_NAME[metric])

    return say


def _ratio(metric: str, over: CellSummary, under: CellSummary) -> Estimate | None:
    """The ratio of two batches. Boards of a fleet that measured only one of them do not count."""
    if metrics.BY_NAME[metric].kind == "exact":
        return ratio(metric, over.estimates[metric], under.estimates[metric])
    return ratio_of(metric, over, under)


def _lines(group: Group, metric: str) -> dict[tuple[str, str], Points]:
    """The points of each method that ran with several batches, by method and label.

    Labels leave out the usual layers of a batch, so equal labels do not join points.
    """
    by_method: dict[Hashable, list[CellWithBaseline]] = {}
    for member in group.all_batches:
        if metric in member.cell.estimates:
            cell = member.cell.planned.cell
            key = cell.method, cell.method_options, cell.layers, cell.allocator
            by_method.setdefault(key, []).append(member)
    several = [members for members in by_method.values() if len(members) > 1]
    labels: Sequence[str] = [members[0].full_label for members in several]
    if len(set(labels)) < len(labels):
        labels = row_labels([members[0].cell.planned.cell for members in several])
    return {
        (members[0].method, label): sorted(
            ((each.cell.planned.cell.batch, each.cell) for each in members),
            key=lambda point: point[0],
        )
        for label, members in zip(labels, several, strict=True)
    }


def _plot(name: str, caption: str, metric: str, *, is_wide: bool = False) -> Plot:
    draw, say = _over_batches(metric), _says(metric)
    return Plot(name, caption, draw, is_wide=is_wide, is_over_batches=True, says=say)


SECTION = Section(
    name="growth",
    title="How costs grow with the batch",
    plots=(
        _plot("growth-peak", "Peak memory of a step.", PEAK, is_wide=True),
        _plot("growth-activations", "Bytes that are kept for backward.", "activation_bytes"),
        _plot("growth-step", "Time of a step.", "step_seconds"),
    ),
)
