"""Two costs against each other: what no other method beats in both stands out."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from bench.analyse.groups import Group, Member
from bench.analyse.pareto import front
from bench.record import metrics
from bench.report import drawing
from bench.report.sections.section import Plot, Section

if TYPE_CHECKING:
    import plotly.graph_objects as go

FADED = 0.28
HEIGHT = 380


def _against(across: str, up: str) -> Callable[[Group], "go.Figure | None"]:
    """A scatter plot of two metrics; a front needs two methods that have both."""

    def draw(group: Group) -> "go.Figure | None":
        both = [m for m in group.members if {across, up} <= set(m.cell.estimates)]
        if len(both) < 2:
            return None
        best = dict(
            zip((m.label for m in both), front([_costs(m, across, up) for m in both]), strict=True)
        )
        plot = drawing.new_plot()
        (x_scale, x_title), (y_scale, y_title) = drawing.axis_of(across), drawing.axis_of(up)
        for method in dict.fromkeys(member.method for member in both):
            members = [member for member in both if member.method == method]
            xs = [member.cell.estimates[across] for member in members]
            ys = [member.cell.estimates[up] for member in members]
            plot.add_scatter(
                x=[found.estimate * x_scale for found in xs],
                y=[found.estimate * y_scale for found in ys],
                mode="markers",
                name=method,
                text=[m.label for m in members],
                marker={
                    "size": 11,
                    "color": drawing.colour(method),
                    "opacity": [1.0 if best[m.label] else FADED for m in members],
                    "line": {"width": 1, "color": "rgba(128,128,128,0.6)"},
                },
                hovertemplate="%{text}<br>%{x:.4g} × %{y:.4g}<extra></extra>",
            )
        plot.update_layout(height=HEIGHT)
        plot.update_xaxes(title=x_title)
        plot.update_yaxes(title=y_title, automargin=True)
        return plot

    return draw


def _costs(member: Member, *names: str) -> list[float]:
    """Less is better: a metric of which more is better counts backwards."""
    signs = [1 if metrics.BY_NAME[name].lower_is_better else -1 for name in names]
    values = (member.cell.estimates[name].estimate for name in names)
    return [sign * value for sign, value in zip(signs, values, strict=True)]


SECTION = Section(
    name="fronts",
    title="What costs what",
    text="One point a cell; faded where another is at least as good in both figures and better in "
    "one. Estimates alone: intervals are in the table.",
    plots=(
        Plot(
            "memory-time",
            "Peak memory and step time",
            _against("peak_rss_over_runtime_bytes", "step_seconds"),
        ),
        Plot(
            "activations-flops",
            "Activations and work: exact",
            _against("activation_bytes", "step_flops"),
        ),
        Plot(
            "cosine-time",
            "What it does to the gradient, and step time",
            _against("gradient_cosine", "step_seconds"),
        ),
        Plot(
            "cosine-memory",
            "What it does to the gradient, and peak memory",
            _against("gradient_cosine", "peak_rss_over_runtime_bytes"),
        ),
    ),
)
