"""What methods do to learning, over seeds."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ondevice_bench.analyse.learning import learning
from ondevice_bench.report.quantities import Figure, figure, learned
from ondevice_bench.report.sections.section import Section, Shown


@dataclass(frozen=True)
class Lesson:
    """A line of the table on learning."""

    cells: str
    seeds: int
    figures: tuple[Figure, ...]


def content(shown: Shown) -> Mapping[str, Any] | None:
    """A line for each workload, its seeds together."""
    lines = learning(shown.summary)
    columns = learned(lines)
    if not columns:
        return None
    return {
        "columns": columns,
        "lessons": [
            Lesson(
                line.id,
                len(line.seeds),
                tuple(figure(line, metric.name) for metric in columns),
            )
            for line in lines
        ],
    }


SECTION = Section(
    name="learning",
    title="What it does to learning",
    text="Over the seeds of the suite: the median, below it the lowest and the highest of fewer "
    "than six seeds, or a 95 % interval. Gradients are those of the treated layers' weights, "
    "against vanilla's on the same batch.",
    content=content,
)
