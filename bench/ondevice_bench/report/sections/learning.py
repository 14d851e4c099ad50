"""The effect of methods on training, over seeds."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ondevice_bench import passes
from ondevice_bench.analyse.learning import learning, learning_groups
from ondevice_bench.report.quantities import Quantity, learning_metrics, quantity_of
from ondevice_bench.report.sections.section import ReportData, Section


@dataclass(frozen=True)
class LearningRow:
    """A line of the table. `cells` is the id that its cells share."""

    cells: str
    label: str
    workload: str
    seeds: int
    quantities: tuple[Quantity, ...]


def content(data: ReportData) -> Mapping[str, Any] | None:
    """A line for each workload. Its seeds are taken together."""
    lines = learning(data.summary)
    # the section `accuracy` has what the pass learning measures
    columns = [one for one in learning_metrics(lines) if one.pass_name != passes.LEARNING]
    if not columns:
        return None
    groups = learning_groups(lines)
    return {
        "columns": columns,
        "workload": groups[0].heading if len(groups) == 1 else "",
        "rows": [
            LearningRow(
                line.id,
                label,
                group.heading,
                len(line.seeds),
                tuple(quantity_of(line, metric.name) for metric in columns),
            )
            for group in groups
            for label, line in zip(group.labels, group.lines, strict=True)
        ],
    }


SECTION = Section(
    name="learning",
    title="Effect on training",
    text="Each number is the median over seeds. The small print is the lowest and the highest (up "
    "to five seeds) or the 95 % interval. Gradients are those of the weights of the changed "
    "layers. They are compared with the gradients of vanilla on the same batch. The error is the "
    "norm of their difference, divided by the norm of vanilla's gradient. If they are equal, the "
    "error is 0.",
    content=content,
)
