"""The conclusions of a run in the terminal."""

from ondevice_bench.analyse.summary import RunSummary
from ondevice_bench.analyse.verdict import verdict
from ondevice_bench.report.sections.section import ReportData


def verdict_lines(summary: RunSummary, baseline: str | None = None) -> list[str]:
    """The sentences of each group of cells, each with the group's name."""
    data = ReportData.from_summaries((summary,), baseline)
    return [
        f"{group.title}: {sentence}"
        for group in data.groups
        for sentence in verdict(group, data.goal, data.baseline).sentences
    ]


def short_verdict_lines(summary: RunSummary, baseline: str | None = None) -> list[str]:
    """The choice for each group, and the method with the lowest peak if it is another one."""
    data = ReportData.from_summaries((summary,), baseline)
    return [
        f"{group.title}: {sentence}"
        for group in data.groups
        for sentence in verdict(group, data.goal, data.baseline).headlines
    ]
