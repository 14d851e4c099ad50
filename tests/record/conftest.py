"""Runs and records made by hand."""

from collections.abc import Iterable
from typing import Any

from ondevice_bench.record.model import Record, Run, TaskKey
from ondevice_bench.suite.cell import Cell
from ondevice_bench.suite.planned_cell import PlannedCell

CELL = Cell(id="mcunet/vanilla/all/b8/s0", model="mcunet", method="vanilla", batch=8)
SECOND = Cell(id="mcunet/vanilla/all/b2/s0", model="mcunet", method="vanilla", batch=2)


def make_run(run_id: str = "r1", **what: Any) -> Run:
    """A run with everything said."""
    values: dict[str, Any] = {
        "id": run_id,
        "suite": "quick",
        "suite_text": "schema: 1\n",
        "title": "Quick <look>",
        "definition": "d",
        "origin": "run",
        "created": "2026-01-01T00:00:00+00:00",
        "commit": "abc",
        "profile": "x86",
        "profile_text": "schema: 1\n",
        "machine": {
            "arch": "x86_64",
            "board": "",
            "cpu": "CPU",
            "physical_cores": 2,
            "logical_cores": 2,
            "memory_gib": 8,
            "page_bytes": 4096,
            "kernel": "6",
            "libc": "glibc 2",
            "threads": 2,
        },
        "software": {
            "bench": "0",
            "python": "3",
            "torch": "2",
            "torch_blas": "mkl",
            "torch_cpu": "AVX2",
            "torch_commit": "c",
        },
        "settings": {"measure": ["trace", "time"], "rounds": 1, "baseline": "vanilla"},
        "command": "bench run quick",
    }
    return Run(**{**values, **what})


def make_record(
    run_id: str = "r1", cell: Cell = CELL, pass_name: str = "time", number: int = 1, **what: Any
) -> Record:
    """A record that is ok unless told otherwise."""
    values: dict[str, Any] = {
        "run": run_id,
        "key": TaskKey(cell.id, pass_name, number),
        "status": "ok",
        "reason": "",
        "launch": "forked",
        "started": "2026-01-01T00:00:01+00:00",
        "seconds": 1.5,
    }
    return Record(**{**values, **what})


def timed_records(run_id: str, steps: Iterable[float], cell: Cell = CELL) -> list[Record]:
    """One cell with these step times, one a round."""
    return [
        make_record(
            run_id,
            cell,
            number=number,
            metrics={"step_seconds": value},
            samples={"step_seconds": [value]},
        )
        for number, value in enumerate(steps, start=1)
    ]


def planned(*cells: Cell) -> list[PlannedCell]:
    """Cells that are to be measured on x86."""
    return [PlannedCell(cell, "x86", "planned") for cell in cells]
