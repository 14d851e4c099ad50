"""How costs grow with the batch: a line for each method, over groups that differ only in it."""

from collections.abc import Callable

from ondevice_bench.analyse.groups import Group
from ondevice_bench.report import drawing
from ondevice_bench.report.plotly_builder import Canvas
from ondevice_bench.report.sections.section import Plot, Section

HEIGHT = 320
PEAK = "peak_rss_over_runtime_bytes"


def _over_batches(metric: str) -> Callable[[Group], Canvas | None]:
    """The metric over the batch, for each method that ran with several."""

    def draw(group: Group) -> Canvas | None:
        lines: dict[tuple[str, str], list[tuple[int, float]]] = {}
        for member in group.all_batches:
            estimate = member.cell.estimates.get(metric)
            if estimate is not None:
                point = (member.cell.planned.cell.batch, estimate.estimate)
                lines.setdefault((member.method, member.full_label), []).append(point)
        several = {key: sorted(points) for key, points in lines.items() if len(points) > 1}
        if not several:
            return None
        plot = Canvas()
        scale, title = drawing.axis_of(metric)
        for (method, label), points in several.items():
            plot.add(
                "scatter",
                x=[x for x, _ in points],
                y=[y * scale for _, y in points],
                mode="lines+markers",
                name=label,
                line={"color": drawing.colour(method), "width": 2},
                hovertemplate="batch %{x}: %{y:,.4~r}<extra>%{fullData.name}</extra>",
            )
        plot.lay_out(height=HEIGHT)
        plot.x_axis("batch, log scale", type="log", dtick=0.30103)
        values = [y for points in several.values() for _, y in points]
        crowded = () if metric == PEAK else values  # a limit is drawn on a linear axis
        plot.y_axis(**drawing.scaled_axis(title, crowded), rangemode="tozero", automargin=True)
        if metric == PEAK:
            drawing.memory_limit(plot, "y", group.limit_bytes, max(values))
        return plot

    return draw


SECTION = Section(
    name="growth",
    title="How costs grow with the batch",
    plots=(
        Plot("growth-peak", "Peak memory", _over_batches(PEAK), is_over_batches=True),
        Plot(
            "growth-activations",
            "Activations",
            _over_batches("activation_bytes"),
            is_over_batches=True,
        ),
        Plot("growth-step", "Step time", _over_batches("step_seconds"), is_over_batches=True),
    ),
)
