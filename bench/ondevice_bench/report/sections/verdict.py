"""The decision: three cards and one table for each group of cells and each baseline in it."""

from collections.abc import Mapping
from typing import Any

from ondevice_bench import metrics, units
from ondevice_bench.analyse.kept_accuracy import kept_accuracy
from ondevice_bench.analyse.summary import RunSummary
from ondevice_bench.analyse.usable_memory import allocated_by_torch, memory_cap, usable_memory
from ondevice_bench.analyse.verdict import bounds
from ondevice_bench.report.accuracy_column import accuracy_quantities
from ondevice_bench.report.decision import decide
from ondevice_bench.report.sections.section import ReportData, Section
from ondevice_bench.suite.goal import Goal


def content(data: ReportData) -> Mapping[str, Any]:
    """The decisions on each group, and the goal. Without a number there is no decision."""
    accuracy = accuracy_quantities(kept_accuracy(data.summary, data.baseline))
    decided = [
        decide(group, data.summary.run, data.goal, data.baseline, data.lost_accuracy, accuracy)
        for group in data.groups
    ]
    return {
        "goal": goal_text(data.goal),
        "baseline": data.baseline,
        "least_cosine": f"{data.goal.min_cosine:g}",
        "board": data.board_names[0] if len(data.boards) > 1 else "",
        "share": about_shares(data.summary),
        "arch": data.summary.run.machine["arch"],
        "groups": decided,
        "decisions": [decision for of_group in decided for decision in of_group],
    }


def about_shares(summary: RunSummary) -> str:
    """What the shares of peaks are of: the memory that a step may use in this run."""
    cap, of_torch, limit = memory_cap(summary), allocated_by_torch(summary), usable_memory(summary)
    if cap is not None and of_torch is None:
        return (
            f"There is no share: the memory cap of {units.size(cap)} counts what torch itself "
            "allocates, too, and this run did not measure that."
        )
    if limit is None:
        return "There is no share: the memory of the board is not known."
    if cap is not None and of_torch is not None and limit == cap - of_torch:
        return (
            f"The share is of the {units.size(limit)} that a step may use: the memory cap of "
            f"{units.size(cap)} counts what torch itself allocates, too, which is "
            f"{units.size(of_torch)} here. It does not count the code of libraries."
        )
    return (
        f"The share is of the {units.size(limit)} that a step may use: the memory of the board or "
        "its container minus 512 MiB, or half of it if that is less, for the system and torch."
    )


def goal_text(goal: Goal) -> str:
    """The goal as a sentence."""
    return f"the lowest {metrics.BY_NAME[goal.minimise].noun}, with {bounds(goal)}"


SECTION = Section(name="verdict", title="Decision", content=content)
