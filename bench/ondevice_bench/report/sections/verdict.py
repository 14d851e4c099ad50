"""The decision: three cards and one table for each group of cells and each baseline in it."""

from collections.abc import Mapping
from typing import Any

from ondevice_bench import metrics
from ondevice_bench.analyse.kept_accuracy import kept_accuracy
from ondevice_bench.analyse.verdict import bounds
from ondevice_bench.report.accuracy_column import accuracy_quantities
from ondevice_bench.report.decision import decide
from ondevice_bench.report.made_up import about_cosines
from ondevice_bench.report.sections.section import ReportData, Section
from ondevice_bench.report.shares import about_shares, limit_of_shares
from ondevice_bench.suite.goal import Goal


def content(data: ReportData) -> Mapping[str, Any]:
    """The decisions on each group, and the goal. Without a number there is no decision."""
    accuracy = accuracy_quantities(kept_accuracy(data.summary, data.baseline))
    machine = data.summary.run.machine
    decided = [
        decide(
            group,
            data.summary.run,
            data.goal,
            data.baseline,
            data.lost_accuracy,
            accuracy,
            has_shares=limit_of_shares(data.summary) is not None,
        )
        for group in data.groups
    ]
    return {
        "goal": goal_text(data.goal),
        "baseline": data.baseline,
        "least_cosine": f"{data.goal.min_cosine:g}",
        "board": data.board_names[0] if len(data.boards) > 1 else "",
        "share": about_shares(data.summary),
        "about_cosines": about_cosines(cell.planned.cell for cell in data.summary.cells),
        "machine": f"{machine['board'] or machine['cpu'] or 'this machine'} ({machine['arch']})",
        "groups": decided,
        "decisions": [decision for of_group in decided for decision in of_group],
    }


def goal_text(goal: Goal) -> str:
    """The goal as a sentence."""
    return f"the lowest {metrics.BY_NAME[goal.minimise].noun}, with {bounds(goal)}"


SECTION = Section(name="verdict", title="Decision", content=content)
