"""The step of plain training that a cell is compared with, counted from shapes alone."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from ondevice_bench.running.hosts.host import Host
from ondevice_bench.running.queries.jobs import JobMaker
from ondevice_bench.suite.cell import Cell
from ondevice_bench.suite.layers import freezes
from ondevice_bench.suite.planned_cell import PlannedCell
from ondevice_bench.suite.preview import PlainStep
from ondevice_bench.suite.suite import Suite

SHAPES_TIMEOUT = 300.0
MAX_STEPS = 64  # each takes a process


def as_vanilla(cell: Cell) -> Cell:
    """The cell of plain training that a method is compared with.

    Its shapes need neither a seed nor an allocator.
    """
    return replace(
        cell,
        id="vanilla",
        method="vanilla",
        method_options=(),
        layers=_frozen(cell),
        seed=0,
        allocator="",
    )


def _frozen(cell: Cell) -> str:
    """The layers that matter without a method: a choice that freezes others."""
    return cell.layers if freezes(cell.layers) else "all"


def _plain_cells(cells: Iterable[Cell]) -> dict[str, Cell]:
    """The cell of plain training for each cell by its id. Equal ones are one object."""
    plain: dict[tuple[Any, ...], Cell] = {}
    found = {}
    for cell in cells:
        key = (cell.of_any_method, _frozen(cell))
        if key not in plain:
            plain[key] = as_vanilla(cell)
        found[cell.id] = plain[key]
    return found


def plain_steps(host: Host, suite: Suite, plan: Sequence[PlannedCell]) -> dict[str, PlainStep]:
    """The vanilla step of each cell by the cell's id. Of very many, only the first are counted."""
    jobs = JobMaker(host, None, suite.sampling, suite.data, suite.weight_sources)
    cells = _plain_cells(item.cell for item in plan if item.state != "skipped")
    steps: dict[Cell, PlainStep] = {}
    for cell in dict.fromkeys(cells.values()):
        if len(steps) >= MAX_STEPS:
            steps[cell] = PlainStep(None, None, f"only {MAX_STEPS} different steps are counted")
            continue
        reply = jobs.reply(jobs.job(cell, "shapes"), SHAPES_TIMEOUT)
        counts = reply.result.metrics
        steps[cell] = (
            PlainStep(
                int(counts["activation_bytes"]),
                int(counts["step_flops"]),
                peak_bytes=int(counts["peak_bytes"]),
            )
            if counts
            else PlainStep(None, None, reply.reason)
        )
    return {name: steps[cell] for name, cell in cells.items()}
