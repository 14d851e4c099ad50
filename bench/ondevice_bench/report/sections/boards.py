"""Boards side by side: what a method costs on each, and where a method wins on one alone."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

from ondevice_bench import units
from ondevice_bench.analyse.boards import Line, OnBoard, boards, unlike
from ondevice_bench.analyse.summary import EMULATED, RunSummary
from ondevice_bench.record import metrics
from ondevice_bench.report.quantities import Figure, figure
from ondevice_bench.report.sections.section import Section, Shown
from ondevice_bench.stats import Estimate

METRICS = ("step_seconds", "peak_rss_over_runtime_bytes", "activation_bytes")


def content(shown: Shown) -> Mapping[str, Any]:
    """A table for each metric, and what no board has measured yet."""
    summaries = (shown.summary, *shown.others)
    tables = []
    for name in METRICS:
        lines = boards(summaries, name, shown.baseline)
        tables.append(
            {
                "metric": metrics.BY_NAME[name],
                "lines": [(line, _figures(line, name)) for line in lines],
                "findings": [line for line in lines if line.disagrees],
            }
        )
    return {
        "tables": tables,
        "boards": _names(summaries),
        "baseline": shown.baseline,
        "unlike": [
            (name, found)
            for name, other in zip(_names(summaries)[1:], shown.others, strict=True)
            for found in unlike(shown.summary, other)
        ],
        "pending": Counter(
            cell.planned.profile for cell in shown.summary.cells if cell.status == "pending"
        ),
        "emulated": [
            name
            for name, one in zip(_names(summaries), summaries, strict=True)
            if one.run.settings.get("emulated")
        ],
        "emulated_means": EMULATED,
    }


def _names(summaries: tuple[RunSummary, ...]) -> list[str]:
    """Each run's profile; with the run where two have the same."""
    profiles = [one.run.profile for one in summaries]
    return [
        one.run.profile if profiles.count(one.run.profile) == 1 else one.run.id for one in summaries
    ]


def _figures(line: Line, name: str) -> list[Figure]:
    found = []
    for on in line.boards:
        found += [_value(on, name), _ratio(on.against_baseline, "of the baseline on that board")]
    between = [_ratio(line.between, "of the second board over the first")]
    return [*found, *(between if len(line.boards) > 1 else [])]


def _value(on: OnBoard, name: str) -> Figure:
    if on.cell is None:
        return Figure("–", "", on.why_not)
    if not on.cell.estimates:
        return Figure(on.cell.status, "", on.why_not)
    return figure(on.cell, name)


def _ratio(found: Estimate | None, of: str) -> Figure:
    if found is None:
        return Figure("–", "", f"no ratio {of}: a figure is missing")
    interval = ""
    if found.basis != "exact" and found.lower is not None and found.upper is not None:
        interval = f"{units.ratio(found.lower)} … {units.ratio(found.upper)}"
    return Figure(units.ratio(found.estimate), interval, f"{of}; {found.basis}", found.estimate)


SECTION = Section(
    name="boards",
    title="Board by board",
    text="Equal workloads, as each board measured them, and as a multiple of the baseline on the "
    "same board; the last column is the second board over the first.",
    content=content,
)
