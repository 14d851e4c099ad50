"""The conclusions in words, for each group of cells."""

from collections.abc import Mapping
from typing import Any

from ondevice_bench import metrics, units
from ondevice_bench.analyse.verdict import verdict
from ondevice_bench.report.sections.section import ReportData, Section
from ondevice_bench.suite.goal import Goal


def content(data: ReportData) -> Mapping[str, Any] | None:
    """The sentences of each group, and the goal."""
    if not data.groups:
        return None
    machine = data.summary.run.machine
    board = machine["board"] or machine["cpu"] or machine["arch"]
    return {
        "where": f"On {data.summary.run.profile} ({board})",
        "goal": goal_text(data.goal),
        "groups": [(g.title, verdict(g, data.goal, data.baseline)) for g in data.groups],
    }


def goal_text(goal: Goal) -> str:
    """The goal as a sentence."""
    bounds = [f"gradient cosine of at least {goal.min_cosine:g} where it was measured"]
    if goal.max_peak_bytes is not None:
        bounds.append(f"peak RSS over runtime of at most {units.size(goal.max_peak_bytes)}")
    if goal.max_slowdown is not None:
        bounds.append(f"a step of at most {goal.max_slowdown:g} times the baseline's")
    return f"the lowest {metrics.BY_NAME[goal.minimise].noun}, with a {', a '.join(bounds)}"


SECTION = Section(
    name="verdict",
    title="Conclusions",
    text="A difference counts only if enough processes measured both cells, and if the whole "
    "interval of their ratio is beyond the noise threshold of the metric. The interval runs from "
    "the smallest to the largest ratio that the intervals of both cells allow.",
    content=content,
)
