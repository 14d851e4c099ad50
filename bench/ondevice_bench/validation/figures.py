"""The exact numbers of a desk, which every board must have, too.

`reports/desk_figures.json` holds them. `python benchmarks/desk_figures.py` measures them again.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import Field

from ondevice_bench import metrics
from ondevice_bench.analyse.summary import RunSummary
from ondevice_bench.declare.folders import builtin
from ondevice_bench.declare.schema import StrictSchema, Version
from ondevice_bench.files import atomic_write
from ondevice_bench.suite.load import load_suite
from ondevice_bench.suite.planned_cell import PlannedCell

SUITE = "validate"
FILE = "desk_figures.json"
# exact metrics that do not depend on the kernels of torch
NAMES = tuple(each.name for each in metrics.ALL if each.kind == "exact" and not each.of_kernels)


@dataclass(frozen=True)
class CellFigures:
    """The exact numbers of one cell, by metric. The fingerprint says that it is the same cell."""

    fingerprint: str
    figures: Mapping[str, float]


class FiguresSchema(StrictSchema):
    """`desk_figures.json`."""

    schema_version: Version = Field(alias="schema")
    made_by: str
    arch: str
    torch: str
    cells: dict[str, CellFigures]


def suite_file() -> Path:
    """The built-in suite of these numbers, even if the user has a suite with the same name."""
    return builtin("suites") / f"{SUITE}.yaml"


@cache
def suite_passes() -> tuple[str, ...]:
    """The passes of the built-in suite."""
    return tuple(load_suite(str(suite_file())).measure)


def figures_file() -> Path:
    """The file of these numbers in this distribution."""
    return builtin("reports") / FILE


@cache
def desk_figures() -> FiguresSchema:
    """The numbers of the desk."""
    return FiguresSchema.model_validate_json(figures_file().read_bytes())


def figures_of(summary: RunSummary) -> dict[str, CellFigures]:
    """The exact numbers of each cell of a run that was measured."""
    return {
        cell.id: CellFigures(
            cell.planned.cell.fingerprint,
            {name: found.estimate for name in NAMES if (found := cell.estimates.get(name))},
        )
        for cell in summary.planned
    }


def is_of_this_suite(cells: Iterable[PlannedCell]) -> bool:
    """Whether a run has all cells of the built-in suite. The name of its suite proves nothing."""
    known = {each.fingerprint for each in desk_figures().cells.values()}
    return known <= {each.cell.fingerprint for each in cells}


def differences(found: Mapping[str, CellFigures]) -> Iterator[str]:
    """Each difference from the numbers of the desk, in a few words."""
    for name, wanted in desk_figures().cells.items():
        cell = found.get(name)
        if cell is None or not cell.figures or cell.fingerprint != wanted.fingerprint:
            is_other = cell is not None and cell.fingerprint != wanted.fingerprint
            yield f"{name} is another cell" if is_other else f"{name} was not measured"
            continue
        for metric, value in wanted.figures.items():
            own = cell.figures.get(metric)
            if own != value:
                shown = "missing" if own is None else f"{own:.15g}"
                yield f"{metric} of {name} is {shown}, not {value:.15g}"


def write(summary: RunSummary, path: Path, made_by: str) -> None:
    """Write the numbers of a desk's run."""
    values: dict[str, Any] = {
        "schema": 1,
        "made_by": made_by,
        "arch": summary.run.machine["arch"],
        "torch": summary.run.software["torch"],
        "cells": {name: vars(cell) for name, cell in sorted(figures_of(summary).items())},
    }
    with atomic_write(path) as file:
        file.write(f"{json.dumps(values, indent=1)}\n".encode())
