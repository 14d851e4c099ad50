"""Which methods keep the accuracy of the baseline: differences between equal seeds.

A method and its baseline with the same seed learn from the same examples, start from the same
weights, and are tested on the same examples. A training diverges if a loss, a score or a weight is
not finite. Then it has no accuracy, and counts as worse than any accuracy.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from ondevice_bench import passes
from ondevice_bench.analyse.groups import CellWithBaseline, groups
from ondevice_bench.analyse.learning import (
    Learning,
    has_diverged,
    is_trained,
    learning_groups,
    trained,
)
from ondevice_bench.analyse.summary import RunSummary
from ondevice_bench.record.details import LearningCurve, TriedRate
from ondevice_bench.stats import Estimate, estimate_readings
from ondevice_bench.suite.cell import Cell

FINAL = "final_accuracy"
FEWEST_SEEDS = 3  # both of two seeds are on one side of the truth in every second case
POINT = 0.01  # of accuracy: a method that loses no more than one point keeps it
_ROUNDING = 1e-9

Verdict = Literal["baseline", "kept", "lost", "unsure", "unknown"]


@dataclass(frozen=True)
class SeedOutcome:
    """The accuracy of one seed, and the learning rates that were tried for it."""

    seed: int
    curve: LearningCurve
    tried: tuple[TriedRate, ...]


@dataclass(frozen=True)
class MethodAccuracy:
    """A workload over its seeds. `difference` is its accuracy minus that of the baseline.

    `unknown` means that one side was not trained. `diverged` counts the seeds with which the
    training of the baseline diverged, or only that of the method. `difference` does not include
    them.
    """

    line: Learning
    label: str
    heading: str
    method: str
    difference: Estimate | None
    verdict: Verdict
    seeds: tuple[SeedOutcome, ...]
    diverged: int = 0

    @property
    def divergence(self) -> str:
        """How many seeds diverged; empty if none did."""
        if not self.diverged:
            return ""
        count = len(self.seeds)
        if self.diverged == count:
            return "its training diverges" + (" with every seed" if count > 1 else "")
        return f"its training diverges with {self.diverged} of {count} seeds"

    @property
    def rates(self) -> tuple[float, ...]:
        """The learning rates of the seeds, each once."""
        found = (each.curve.rate for each in self.seeds)
        return tuple(sorted({rate for rate in found if rate is not None}))


def kept_accuracy(summary: RunSummary, baseline: str | None = None) -> tuple[MethodAccuracy, ...]:
    """Every workload that the pass `learning` trained, group by group."""
    members = {
        member.cell.planned.cell: member
        for group in groups(summary, baseline, is_trained)
        for member in group.members
    }
    return tuple(
        _of_line(line, label, group.heading, members)
        for group in learning_groups(trained(summary))
        for label, line in zip(group.labels, group.lines, strict=True)
    )


def lost_accuracy(summary: RunSummary, baseline: str | None = None) -> Mapping[str, str]:
    """Why a method does not keep the accuracy, by the id of each of its trained cells."""
    return {
        cell.id: one.divergence or _loss_text(one.difference)
        for one in kept_accuracy(summary, baseline)
        if one.verdict == "lost"
        for cell in one.line.cells
    }


def verdict(difference: Estimate | None, *, has_enough_seeds: bool = True) -> Verdict:
    """What an interval of differences proves. It proves nothing with few seeds or without some."""
    if difference is None:
        return "unknown"
    if difference.lower is None or difference.upper is None or not has_enough_seeds:
        return "unsure"
    if _is_kept(difference.lower):
        return "kept"
    return "unsure" if _is_kept(difference.upper) else "lost"


def _loss_text(difference: Estimate | None) -> str:
    """A proven loss of accuracy, in points."""
    assert difference is not None
    assert difference.lower is not None
    assert difference.upper is not None
    lost, least, most = (
        points(each).removeprefix("−")
        for each in (difference.estimate, difference.upper, difference.lower)
    )
    return f"it loses {lost} points of accuracy ({least} … {most})"


def points(difference: float) -> str:
    """A difference of accuracies in points: percent of all examples.

    It is never rounded to the limit from below. Near the limit it has more decimals.
    """
    texts = (f"{difference * 100:+.{places}f}" for places in range(1, 17))
    is_kept = _is_kept(difference)
    shown = next((text for text in texts if _is_kept(float(text) / 100) == is_kept), "")
    return (shown or f"{difference * 100:+}").replace("-", "−")


def _is_kept(difference: float) -> bool:
    return difference >= -POINT - _ROUNDING


def _of_line(
    line: Learning, label: str, heading: str, members: Mapping[Cell, CellWithBaseline]
) -> MethodAccuracy:
    found = [members[cell] for cell in line.cells if cell in members]
    is_baseline = any(member.is_baseline for member in found)
    differences = [] if is_baseline else _differences(found)
    diverged = sum(map(_has_diverged, found))
    return MethodAccuracy(
        line=line,
        label=label,
        heading=heading,
        method=line.cells[0].method,
        difference=_over_seeds(differences, len(line.cells)),
        verdict="baseline" if is_baseline else _verdict(differences, diverged, len(line.cells)),
        seeds=tuple(_outcome(member) for member in found),
        diverged=diverged,
    )


def _verdict(differences: Sequence[float], diverged: int, seeds: int) -> Verdict:
    """The verdict over all seeds. A seed that diverged counts as worse than any difference."""
    if diverged == seeds:
        return "lost"
    found = _over_seeds([*differences, *[-math.inf] * diverged], seeds)
    is_enough = len(differences) + diverged == seeds >= FEWEST_SEEDS
    return verdict(found, has_enough_seeds=is_enough)


def _has_diverged(member: CellWithBaseline) -> bool:
    """Whether the training diverged. If that of the baseline did, too, only the baseline counts."""
    base = member.base
    has_accuracy = base is not None and FINAL in base.estimates
    return (has_accuracy or member.is_baseline) and has_diverged(member.cell)


def _outcome(member: CellWithBaseline) -> SeedOutcome:
    cell = member.cell
    return SeedOutcome(
        cell.planned.cell.seed,
        cell.details_of(passes.LEARNING).learned,
        cell.details_of(passes.LEARNING_RATE).tried_rates,
    )


def _differences(members: Sequence[CellWithBaseline]) -> list[float]:
    """The difference of each seed that both sides have."""
    return [
        member.cell.estimates[FINAL].estimate - member.base.estimates[FINAL].estimate
        for member in members
        if member.base and FINAL in member.cell.estimates and FINAL in member.base.estimates
    ]


def _over_seeds(differences: Sequence[float], seeds: int) -> Estimate | None:
    if not differences:
        return None
    count = len(differences)
    of_all = "" if count == seeds else f" of {seeds}"
    if count == 1:
        return Estimate(differences[0], None, None, f"one pair{of_all} of seeds: no interval")
    return estimate_readings(differences, f"{count}{of_all} pairs of equal seeds")
