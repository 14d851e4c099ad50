"""The decision: three cards and one table for each group of cells and each baseline in it."""

from collections.abc import Mapping
from typing import Any

from ondevice_bench import metrics
from ondevice_bench.analyse.kept_accuracy import kept_accuracy
from ondevice_bench.analyse.verdict import bounds
from ondevice_bench.passes import MEMORY, TIME, rounds_of
from ondevice_bench.report.accuracy_column import accuracy_quantities
from ondevice_bench.report.decision import decide
from ondevice_bench.report.made_up import about_cosines
from ondevice_bench.report.sections.section import ReportData, Section
from ondevice_bench.report.shares import about_shares, limit_of_shares
from ondevice_bench.stats import order_ranks
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
        "about_intervals": _about_intervals(data.summary.run.settings),
        "machine": f"{machine['board'] or machine['cpu'] or 'this machine'} ({machine['arch']})",
        "groups": decided,
        "decisions": [decision for of_group in decided for decision in of_group],
    }


def _about_intervals(settings: Mapping[str, Any]) -> str:
    """What the intervals of a time, a peak and a ratio are, in a run with these rounds."""
    times, peaks = (rounds_of(name, settings["rounds"]) for name in (TIME, MEMORY))
    of_time = (
        f"An interval of a time covers the 95 % intervals of its {times} processes."
        if times > 1
        else "An interval of a time is the 95 % interval of the median of one process."
    )
    of_peak = (
        f"That of a peak is the 95 % interval of the median of its {peaks} processes."
        if order_ranks(peaks)
        else f"That of a peak goes from the lowest to the highest of its {peaks} processes."
        if peaks > 1
        else "A peak of one process has no interval."
    )
    return (
        f"{of_time} {of_peak} That of a ratio goes from its lowest to its highest possible value."
    )


def goal_text(goal: Goal) -> str:
    """The goal as a sentence."""
    return f"the lowest {metrics.BY_NAME[goal.minimise].noun}, with {bounds(goal)}"


SECTION = Section(name="verdict", title="Decision", content=content)
