"""The effect of methods on training, over the seeds of a suite.

Cells that differ only in their seed become one line, because a single seed says little about
training. No other module combines different fingerprints.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ondevice_bench import metrics, passes
from ondevice_bench.analyse.summary import CellSummary, RunSummary
from ondevice_bench.stats import Estimate, estimate_readings
from ondevice_bench.suite.cell import Cell
from ondevice_bench.suite.labels import labelled, row_labels, shared_options

METRICS = tuple(m.name for m in metrics.ALL if passes.BY_NAME[m.pass_name].over_seeds)


@dataclass(frozen=True)
class Learning:
    """A workload over its seeds; `unavailable` says why no seed has a metric."""

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
    """The lines of one workload, each with a short label. `heading` is what they have in common."""

    heading: str
    labels: tuple[str, ...]
    lines: tuple[Learning, ...]


def learning(summary: RunSummary) -> tuple[Learning, ...]:
    """A line for each workload that was measured for fidelity or accuracy."""
    groups: dict[tuple[str, str], list[CellSummary]] = {}
    for cell in summary.cells:
        workload = cell.planned.cell.of_any_seed
        groups.setdefault((workload, cell.planned.profile), []).append(cell)
    lines = (_line(cells) for cells in groups.values())
    return tuple(line for line in lines if line.estimates)


def learning_groups(lines: Sequence[Learning]) -> tuple[LearningGroup, ...]:
    """The lines by workload: in a group only method, layers and allocator differ."""
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
    return Learning(
        id=name_and_seed.rpartition("/")[0] if len(cells) > 1 else name_and_seed,
        cells=tuple(cell.planned.cell for cell in cells),
        estimates={
            name: _over_seeds(values, len(cells))
            for name, values in values_by_metric.items()
            if values
        },
        unavailable={
            name: cells[0].unavailable[name]
            for name, values in values_by_metric.items()
            if not values
        },
    )


def _over_seeds(values: Sequence[float], seeds: int) -> Estimate:
    origin = f"{len(values)} seeds" if len(values) == seeds else f"{len(values)} of {seeds} seeds"
    if len(values) == 1:
        seed_count = "one seed" if seeds == 1 else f"one of {seeds} seeds"
        return Estimate(values[0], None, None, f"{seed_count}: no interval")
    return estimate_readings(values, origin)
