"""The effect of methods on training, over seeds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ondevice_bench import metrics, passes
from ondevice_bench.analyse.learning import Learning, learning, learning_groups
from ondevice_bench.report.made_up import about_cosines
from ondevice_bench.report.quantities import Quantity, learning_metrics, quantity_of
from ondevice_bench.report.sections.section import ReportData, Section

# a comparison with the network before the method, and the one with the same weights
_ORIGINAL: Mapping[str, str] = {
    "gradient_cosine_original": "gradient_cosine_first",
    "gradient_error_original": "gradient_error_first",
}
SAME = "same"


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
    columns = [
        one
        for one in learning_metrics(lines)
        if one.pass_name != passes.LEARNING and _tells_more(one.name, lines)
    ]
    if not columns:
        return None
    groups = learning_groups(lines)
    return {
        "columns": columns,
        "has_seeds": any(len(line.seeds) > 1 for line in lines),
        "has_gradients": any(one.name.startswith("gradient_") for one in columns),
        "has_original": any(one.name in _ORIGINAL for one in columns),
        "scope": about_cosines(cell for line in lines for cell in line.cells),
        "workload": groups[0].heading if len(groups) == 1 else "",
        "rows": [
            LearningRow(
                line.id,
                label,
                group.heading,
                len(line.seeds),
                tuple(_quantity(line, metric.name) for metric in columns),
            )
            for group in groups
            for label, line in zip(group.labels, group.lines, strict=True)
        ],
    }


def _tells_more(name: str, lines: Sequence[Learning]) -> bool:
    """Whether the metric differs in a line from the one with the same weights."""
    return name not in _ORIGINAL or not all(_is_same(line, name) for line in lines)


def _is_same(line: Learning, name: str) -> bool:
    found = line.estimates.get(name)
    return found is None or found == line.estimates.get(_ORIGINAL[name])


def _quantity(line: Learning, name: str) -> Quantity:
    """The metric; a word if it equals that of the same weights."""
    found = quantity_of(line, name)
    if name not in _ORIGINAL or name not in line.estimates or not _is_same(line, name):
        return found
    meaning = f"{found.meaning}; equal to “{metrics.BY_NAME[_ORIGINAL[name]].label}”"
    return replace(found, estimate=SAME, interval="", meaning=meaning)


SECTION = Section(name="learning", title="Effect on training", content=content)
