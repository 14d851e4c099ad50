"""What `bench ab` found, as a table and in words."""

from collections import Counter
from collections.abc import Sequence
from math import inf
from typing import TYPE_CHECKING, Any

from ondevice_bench import units
from ondevice_bench.analyse.cell_pair import Pair
from ondevice_bench.report.quantities import exact
from ondevice_bench.terminal import table

if TYPE_CHECKING:
    from rich.table import Table


def duel_table(pairs: Sequence[Pair]) -> "Table":
    """A line for each pair."""
    made = table("cell", "step, new / base", "interval", "rounds", "step is", "exact metrics")
    for pair in pairs:
        ratio, interval = "–", ""
        if pair.step is not None:
            ratio = units.ratio(pair.step.ratio)
            if pair.step.upper < inf:
                interval = f"{units.ratio(pair.step.lower)} … {units.ratio(pair.step.upper)}"
        counted = f"{len(pair.differences)} differ" if pair.differences else "equal"
        said = f"{pair.step_verdict}: {pair.problem}" if pair.problem else pair.step_verdict
        shown = "not compared" if pair.problem else counted
        made.add_row(pair.name, ratio, interval, str(len(pair.base)), said, shown)
    return made


def duel_lines(
    names: Sequence[str], pairs: Sequence[Pair], alone: Sequence[str], threshold: float
) -> list[str]:
    """What differs, what one side has alone, how sharp the eye was, and the count of verdicts."""
    lines = [
        f"{found.verdict}: {pair.name}: {found.metric}: {exact(found.metric, found.base)} → "
        f"{exact(found.metric, found.new)}"
        for pair in pairs
        for found in pair.differences
    ]
    lines += [f"only on one side: {name}" for name in alone]
    bounds = sorted(
        pair.step.upper - 1
        for pair in pairs
        if pair.step is not None
        and pair.step.upper < inf
        and pair.step_verdict not in ("regressed", "failed")
    )
    unseen = sum(p.step is None or p.step.upper == inf for p in pairs if not p.problem)
    if bounds:
        lines.append(
            f"slow-downs of more than {bounds[-1]:.1%} are ruled out in {len(bounds)} cells that "
            f"did not regress, of more than {bounds[len(bounds) // 2]:.1%} in half of these"
        )
    if unseen:
        lines.append(f"{unseen} cells had too few rounds for an interval: give more --budget")
    verdicts = Counter(pair.step_verdict for pair in pairs)
    said = ", ".join(f"{count} {verdict}" for verdict, count in verdicts.items()) or "no cells"
    changed = sum(bool(pair.differences) for pair in pairs)
    steps = f"steps: {said} at a threshold of {threshold:.0%}"
    traced = f"exact metrics: {changed} of {len(pairs)} cells differ"
    return [*lines, f"base {names[0]}, new {names[1]}: {steps}; {traced}"]


def duel_json(names: Sequence[str], pairs: Sequence[Pair], alone: Sequence[str]) -> dict[str, Any]:
    """All of it as plain values."""
    return {
        "base": names[0],
        "new": names[1],
        "pairs": [pair.to_json() for pair in pairs],
        "only_on_one_side": list(alone),
    }
