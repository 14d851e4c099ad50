"""The largest batch that fits a board, as `bench fit` computed it. Nothing of it is measured."""

from collections.abc import Mapping
from typing import Any

from ondevice_bench import units
from ondevice_bench.analyse.groups import Group
from ondevice_bench.report import drawing
from ondevice_bench.report.plotly_builder import Canvas
from ondevice_bench.report.sections.section import Plot, ReportData, Section
from ondevice_bench.report.terminal.fit import fit_meaning, fit_reasons, fit_table
from ondevice_bench.suite.fit import BoardFits

HEIGHT = 340


def content(data: ReportData) -> Mapping[str, Any] | None:
    """A table for each model, with the board that it is for."""
    found = data.fits
    if found is None:
        return None
    return {
        "board": found.board,
        "usable": units.size(found.limit.usable_bytes),
        "is_of_the_run": found.board == data.summary.run.profile,
        "profile": data.summary.run.profile,
        "models": [(model, fit_table(found, model)) for model in found.models],
        "reasons": [line for model in found.models for line in fit_reasons(found, model)],
        "notes": fit_meaning(found),
    }


def plots(data: ReportData) -> tuple[Plot, ...]:
    """The computed peaks of each method against the batch, for the model of the group."""
    found = data.fits
    if found is None:
        return ()

    def draw(group: Group) -> Canvas | None:
        return curves(found, group.members[0].cell.id.split("/")[0])

    caption = (
        "The bytes of all tensors that are alive at the same moment of a step, computed for some "
        "batches (points). Between two points, the peak lies near the straight line. The dashed "
        f"line is the memory of {found.board} without the reserve."
    )
    return (Plot("fit-curves", caption, draw, is_wide=True),)


def curves(found: BoardFits, model: str) -> Canvas | None:
    """A line for each method through the exact points of its curve, and the limit."""
    lines = [(fit.method, found.curve(fit).points) for fit in found.of(model) if fit.points]
    if not lines:
        return None
    plot = Canvas()
    looks = drawing.lines(method.partition("(")[0] for method, _ in lines)
    for (method, points), look in zip(lines, looks, strict=True):
        plot.add(
            "scatter",
            x=[batch for batch, _ in points],
            y=[peak / units.MIB for _, peak in points],
            mode="lines+markers",
            name=method,
            line={**look, "width": 2},
            hovertemplate="batch %{x}: %{y:,.5~r} MiB<extra>%{fullData.name}</extra>",
        )
    limit = found.limit.usable_bytes
    plot.lay_out(height=HEIGHT)
    plot.x_axis("batch", rangemode="tozero")
    plot.y_axis("MiB of tensors, computed", rangemode="tozero")
    highest = max(peak for _, points in lines for _, peak in points)
    drawing.memory_limit(plot, "y", limit, highest)
    return plot


SECTION = Section(
    name="fits",
    title="The largest batch that fits",
    text="These numbers are computed from shapes by bench fit. They are not measured.",
    content=content,
    plots_of=plots,
    about="the page",
)
