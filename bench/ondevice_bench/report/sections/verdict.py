"""The verdict: what the figures bear, in words, group by group."""

from collections.abc import Mapping
from typing import Any

from ondevice_bench import units
from ondevice_bench.analyse.verdict import NAMES, verdict
from ondevice_bench.report.sections.section import Section, Shown
from ondevice_bench.suite.goal import Goal


def content(shown: Shown) -> Mapping[str, Any] | None:
    """The sentences of each group, and what was looked for."""
    if not shown.groups:
        return None
    machine = shown.summary.run.machine
    board = machine["board"] or machine["cpu"] or machine["arch"]
    return {
        "where": f"On {shown.summary.run.profile} ({board})",
        "goal": goal_text(shown.goal),
        "said": [(g.title, verdict(g, shown.goal, shown.baseline)) for g in shown.groups],
    }


def goal_text(goal: Goal) -> str:
    """The goal as a sentence."""
    bounds = [f"gradient cosine of at least {goal.min_cosine:g} where it was measured"]
    if goal.max_peak_bytes is not None:
        bounds.append(f"peak RSS over runtime of at most {units.size(goal.max_peak_bytes)}")
    if goal.max_slowdown is not None:
        bounds.append(f"a step of at most {goal.max_slowdown:g} times the baseline's")
    return f"the least {NAMES[goal.minimise]}, with a {', a '.join(bounds)}"


SECTION = Section(
    name="verdict",
    title="What follows",
    text="A ratio counts where several processes measured both sides and its whole interval lies "
    "beyond the metric's noise threshold; bounds are between the farthest ends of both intervals.",
    content=content,
)
