"""What else costs time on a board: loading data before a step, and inference of one example."""

from collections.abc import Mapping
from typing import Any

from ondevice_bench import metrics
from ondevice_bench.report.beside_step import beside_step
from ondevice_bench.report.quantities import quantity_of
from ondevice_bench.report.sections.section import ReportData, Section

PASSES = ("loading", "latency")


def content(data: ReportData) -> Mapping[str, Any] | None:
    """A line for each cell, with its sentences."""
    measured = [name for name in PASSES if name in data.summary.run.settings["measure"]]
    columns = [metrics.BY_NAME[name] for each in measured for name in metrics.of_pass(each)]
    members = [
        (group.title, member)
        for group in data.groups
        for member in group.members
        if any(name in member.cell.details for name in measured)
    ]
    if not members:
        return None
    several = len({title for title, _ in members}) > 1
    lines = [
        (
            f"{member.label} · {title}" if several else member.label,
            " ".join(beside_step(member.cell, member.label)),
            [quantity_of(member.cell, metric.name) for metric in columns],
        )
        for title, member in members
    ]
    return {"columns": [metric.label for metric in columns], "lines": lines}


SECTION = Section(
    name="beside",
    title="Beside the step: loading and latency",
    text="Loading is done as bench makes its own batches of a folder: read, decode, crop, resize, "
    "normalise, stack, in one thread, without augmentation. Latency is that of one example.",
    content=content,
)
