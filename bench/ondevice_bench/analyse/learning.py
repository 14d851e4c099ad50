"""The effect of methods on training, over the seeds of a suite.

Cells that differ only in their seed become one line, because a single seed says little about
training. No other module combines different fingerprints.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ondevice_bench import metrics, passes
from ondevice_bench.analyse.meters import are_mixed
from ondevice_bench.analyse.missing_metrics import MIXED_METERS
from ondevice_bench.analyse.summary import CellSummary, RunSummary
from ondevice_bench.stats import Estimate, estimate_readings
from ondevice_bench.suite.cell import Cell
from ondevice_bench.suite.labels import labelled, row_labels, shared_options
from ondevice_bench.units import number_of

# the costs until the target: they are infinite for a seed that never reaches it
TO_TARGET = ("time_to_accuracy_seconds", "energy_to_accuracy_joules")
METRICS = tuple(m.name for m in metrics.ALL if passes.BY_NAME[m.pass_name].over_seeds)


@dataclass(frozen=True)
class Learning:
    """A workload over its seeds. `unavailable` says why a metric is missing."""

    id: str
    cells: tuple[Cell, ...]  # one for each seed
    estimates: Mapping[str, Estimate]
    unavailable: Mapping[str, str]

    @property
    def seeds(self) -> tuple[int, ...]:
        """The seeds of the workload."""
        return tuple(cell.seed for cell in self.cells)

    def to_dict(self) -> dict[str, Any]:
        """The line as plain values."""
        return {
            "cells": self.id,
            "seeds": list(self.seeds),
            "metrics": {name: estimate.to_dict() for name, estimate in self.estimates.items()},
            "unavailable": dict(self.unavailable),
        }


@dataclass(frozen=True)
class LearningGroup:
    """The lines of one workload, each with a short label. `heading` has what they share."""

    heading: str
    labels: tuple[str, ...]
    lines: tuple[Learning, ...]


def learning(summary: RunSummary) -> tuple[Learning, ...]:
    """A line for each workload that was measured for fidelity or accuracy."""
    return tuple(line for line in _lines(summary.cells) if line.estimates)


def trained(summary: RunSummary) -> tuple[Learning, ...]:
    """A line for each workload with the pass `learning` in its plan, even without an accuracy."""
    return tuple(_lines(cell for cell in summary.cells if is_trained(cell)))


def is_trained(cell: CellSummary) -> bool:
    """Whether the pass `learning` is planned for the cell here."""
    return cell.planned.cell.learning is not None and cell.planned.state == "planned"


def _lines(cells: Iterable[CellSummary]) -> Iterator[Learning]:
    groups: dict[tuple[str, str], list[CellSummary]] = {}
    for cell in cells:
        workload = cell.planned.cell.of_any_seed
        groups.setdefault((workload, cell.planned.profile), []).append(cell)
    return map(_line, groups.values())


def learning_groups(lines: Sequence[Learning]) -> tuple[LearningGroup, ...]:
    """The lines by workload. In a group, only method, layers and allocator differ."""
    by_cell: dict[Cell, list[Learning]] = {}
    for line in lines:
        for cell in line.cells:
            by_cell.setdefault(cell, []).append(line)  # one for each board
    groups = []
    for group in labelled(by_cell):
        chosen = {id(line): line for cell in group.cells for line in by_cell[cell]}
        firsts = [line.cells[0] for line in chosen.values()]
        labels = row_labels(firsts, shared_options(group.cells).keys())
        groups.append(LearningGroup(group.heading, labels, tuple(chosen.values())))
    return tuple(groups)


def _line(cells: Sequence[CellSummary]) -> Learning:
    values_by_metric = {
        name: [cell.estimates[name].estimate for cell in cells if name in cell.estimates]
        for name in METRICS
    }
    name_and_seed = cells[0].planned.cell.id
    estimates, unavailable = {}, {}
    for name, values in values_by_metric.items():
        if are_mixed(name, (cell.meters for cell in cells)):
            unavailable[name] = MIXED_METERS
            continue
        endless = _never_reached(cells) if values and name in TO_TARGET else 0
        found = _over_seeds([*values, *[math.inf] * endless], len(cells)) if values else None
        if found is None:
            unavailable[name] = cells[0].unavailable[name]
        elif math.isinf(found.estimate):
            unavailable[name] = f"the target was reached with {len(values)} of {len(cells)} seeds"
        else:
            estimates[name] = _bounded(found, endless)
    return Learning(
        id=name_and_seed.rpartition("/")[0] if len(cells) > 1 else name_and_seed,
        cells=tuple(cell.planned.cell for cell in cells),
        estimates=estimates,
        unavailable=unavailable,
    )


def has_diverged(cell: CellSummary) -> bool:
    """Whether the training of a cell ended because a number was not finite.

    The last test of such a training is missing. With a grid, no learning rate has an accuracy.
    """
    plan, tried = cell.planned.cell.learning, cell.details_of(passes.LEARNING_RATE).tried_rates
    if tried and all(each.accuracy is None for each in tried):
        return True
    curve = cell.details_of(passes.LEARNING).learned
    return plan is not None and curve.rate is not None and len(curve.accuracy) <= plan.epochs


def _never_reached(cells: Sequence[CellSummary]) -> int:
    """The number of seeds that were trained and never reached the target."""
    return sum(_missed(cell) for cell in cells)


def _missed(cell: CellSummary) -> bool:
    """Whether the training is over, and no test of it reached the target.

    Without a test, that is known only if the training diverges with each learning rate.
    """
    plan, tested = cell.planned.cell.learning, cell.details_of(passes.LEARNING).learned.accuracy
    if plan is None or plan.target is None:
        return False
    return max(tested) < plan.target if tested else has_diverged(cell)


def _bounded(estimate: Estimate, endless: int) -> Estimate:
    """The estimate without an infinite bound. Its basis says how many seeds never reached it."""
    if not endless:
        return estimate
    upper = None if estimate.upper is None or math.isinf(estimate.upper) else estimate.upper
    basis = f"{estimate.basis}; {number_of(endless, 'seed')} never reached the target"
    return Estimate(estimate.estimate, estimate.lower, upper, basis)


def _over_seeds(values: Sequence[float], seeds: int) -> Estimate:
    origin = f"{len(values)} seeds" if len(values) == seeds else f"{len(values)} of {seeds} seeds"
    if len(values) == 1:
        seed_count = "one seed" if seeds == 1 else f"one of {seeds} seeds"
        return Estimate(values[0], None, None, f"{seed_count}: no interval")
    return estimate_readings(values, origin)
