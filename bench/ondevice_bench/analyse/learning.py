"""What methods do to learning, over the seeds of a suite.

Cells that differ in nothing but their seed are one line: only here are unlike fingerprints put
together, because a single seed says little of what a network learns.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ondevice_bench import metrics, passes
from ondevice_bench.analyse.summary import CellSummary, RunSummary
from ondevice_bench.stats import Estimate, estimate_readings

METRICS = tuple(m.name for m in metrics.ALL if passes.BY_NAME[m.pass_name].over_seeds)


@dataclass(frozen=True)
class Learning:
    """A workload whatever its seed; `unavailable` has the reason of what no seed could measure."""

    id: str
    seeds: tuple[int, ...]
    estimates: Mapping[str, Estimate]
    unavailable: Mapping[str, str]

    def to_dict(self) -> dict[str, Any]:
        """The line as plain values."""
        return {
            "cells": self.id,
            "seeds": list(self.seeds),
            "metrics": {name: found.to_dict() for name, found in self.estimates.items()},
            "unavailable": dict(self.unavailable),
        }


def learning(summary: RunSummary) -> tuple[Learning, ...]:
    """A line for each workload that was measured for fidelity or accuracy."""
    groups: dict[tuple[str, str], list[CellSummary]] = {}
    for cell in summary.cells:
        workload = cell.planned.cell.of_any_seed
        groups.setdefault((workload, cell.planned.profile), []).append(cell)
    lines = (_line(cells) for cells in groups.values())
    return tuple(line for line in lines if line.estimates)


def _line(cells: Sequence[CellSummary]) -> Learning:
    found = {
        name: [cell.estimates[name].estimate for cell in cells if name in cell.estimates]
        for name in METRICS
    }
    name_and_seed = cells[0].planned.cell.id
    return Learning(
        id=name_and_seed.rpartition("/")[0] if len(cells) > 1 else name_and_seed,
        seeds=tuple(cell.planned.cell.seed for cell in cells),
        estimates={
            name: _over_seeds(values, len(cells)) for name, values in found.items() if values
        },
        unavailable={
            name: cells[0].unavailable[name] for name, values in found.items() if not values
        },
    )


def _over_seeds(values: Sequence[float], seeds: int) -> Estimate:
    of = f"{len(values)} seeds" if len(values) == seeds else f"{len(values)} of {seeds} seeds"
    if len(values) == 1:
        said = "one seed" if seeds == 1 else f"one of {seeds} seeds"
        return Estimate(values[0], None, None, f"{said}: no interval")
    return estimate_readings(values, of)
