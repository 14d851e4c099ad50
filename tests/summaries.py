"""Stored runs to draw conclusions from."""

from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from ondevice_bench.analyse.summarise import summarise
from ondevice_bench.analyse.summary import RunSummary
from ondevice_bench.record.model import Record, Run
from ondevice_bench.record.store import Store
from ondevice_bench.suite.planned_cell import PlannedCell
from tests.record.conftest import CELL, make_record, make_run, planned


def stored_summary(
    folder: Path,
    records: Iterable[Record],
    cells: list[PlannedCell] | None = None,
    run: Run | None = None,
) -> RunSummary:
    """Store a run with these records in the folder and summarise it."""
    stored = run or make_run()
    path = folder / f"{stored.id}.sqlite"
    path.unlink(missing_ok=True)
    with Store.create(path) as store:
        store.add_run(stored, cells if cells is not None else planned(CELL))
        for record in records:
            store.add_record(record)
        return summarise(store, stored)


@pytest.fixture
def summary_of(tmp_path: Path) -> Callable[..., RunSummary]:
    """Store a run with these records and summarise it."""
    return partial(stored_summary, tmp_path)


def of_rounds(
    summary_of: Callable[..., RunSummary],
    name: str,
    *statuses: str,
    reason: str = "no more memory",
    **what: Any,
) -> RunSummary:
    """A run whose rounds ended like this; those that are ok took equal times."""
    settings = {"measure": ["time"], "rounds": len(statuses), "baseline": "vanilla"}
    records = [
        make_record(
            name,
            number=number,
            status=status,
            reason="" if status == "ok" else reason,
            metrics={"step_seconds": 1.0} if status == "ok" else {},
            samples={"step_seconds": [1.0 + number / 1000]} if status == "ok" else {},
            **what,
        )
        for number, status in enumerate(statuses, start=1)
    ]
    return summary_of(records, planned(CELL), make_run(name, settings=settings))
