"""How costs grow with the batch: one line a method, over groups that differ in nothing else."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from bench.analyse.groups import Group
from bench.report import drawing
from bench.report.sections.section import Plot, Section

if TYPE_CHECKING:
    import plotly.graph_objects as go

HEIGHT = 320


def _over_batches(metric: str) -> Callable[[Group], "go.Figure | None"]:
    """The metric over the batch, for each method with several batches."""

    def draw(group: Group) -> "go.Figure | None":
        lines: dict[tuple[str, str], list[tuple[int, float]]] = {}
        for member in (*group.members, *group.other_batches):
            found = member.cell.estimates.get(metric)
            if found is not None:
                point = (member.cell.planned.cell.batch, found.estimate)
                lines.setdefault((member.method, member.label), []).append(point)
        several = {key: sorted(points) for key, points in lines.items() if len(points) > 1}
        if not several:
            return None
        plot = drawing.new_plot()
        scale, title = drawing.axis_of(metric)
        for (method, label), points in several.items():
            plot.add_scatter(
                x=[x for x, _ in points],
                y=[y * scale for _, y in points],
                mode="lines+markers",
                name=label,
                line={"color": drawing.colour(method), "width": 2},
                hovertemplate="batch %{x}: %{y:.4g}<extra>%{fullData.name}</extra>",
            )
        plot.update_layout(height=HEIGHT)
        plot.update_xaxes(title="batch", type="log", dtick=0.30103)
        plot.update_yaxes(title=title, rangemode="tozero", automargin=True)
        return plot

    return draw


SECTION = Section(
    name="growth",
    title="How costs grow with the batch",
    plots=(
        Plot("growth-peak", "Peak memory", _over_batches("peak_rss_over_runtime_bytes")),
        Plot("growth-activations", "Activations", _over_batches("activation_bytes")),
        Plot("growth-step", "Step time", _over_batches("step_seconds")),
    ),
)
