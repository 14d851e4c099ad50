"""What follows from a run's figures, in the terminal."""

from ondevice_bench.analyse.summary import RunSummary
from ondevice_bench.analyse.verdict import verdict
from ondevice_bench.report.sections.section import Shown


def verdict_lines(summary: RunSummary, baseline: str | None = None) -> list[str]:
    """The sentences of each group, with its name before them."""
    shown = Shown.of((summary,), baseline)
    return [
        f"{group.title}: {sentence}"
        for group in shown.groups
        for sentence in verdict(group, shown.goal, shown.baseline)
    ]
