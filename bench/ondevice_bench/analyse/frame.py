"""Summaries as a pandas DataFrame: one row for each run, cell and metric."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ondevice_bench import metrics
from ondevice_bench.analyse.summary import CellSummary, RunSummary, summarise
from ondevice_bench.record.model import Run
from ondevice_bench.record.store import Store

if TYPE_CHECKING:
    import pandas

COLUMNS = (
    "run",
    "created",
    "commit",
    "profile",
    "cell",
    "fingerprint",
    "model",
    "method",
    "batch",
    "seed",
    "layers",
    "options",
    "status",
    "metric",
    "unit",
    "scope",
    "kind",
    "lower",
    "estimate",
    "upper",
    "basis",
)


def load(path: str | Path) -> "pandas.DataFrame":
    """Every estimate of every run in a store, one row for each run, cell and metric.

    `COLUMNS` names the columns. Each row names its unit.
    """
    with Store.open(Path(path)) as store:
        return frame_of([summarise(store, run) for run in store.runs()])


def frame_of(summaries: Sequence[RunSummary]) -> "pandas.DataFrame":
    """Every estimate of these runs; `lower` and `upper` are empty if there is no interval."""
    import pandas

    rows = [row for one in summaries for cell in one.cells for row in rows_of(one.run, cell)]
    return pandas.DataFrame.from_records(rows, columns=list(COLUMNS))


def rows_of(run: Run, cell: CellSummary) -> Iterator[tuple[Any, ...]]:
    """A row of `COLUMNS` for each estimate of a cell."""
    planned = cell.planned
    of_cell = (
        run.id,
        run.created,
        run.commit,
        planned.profile,
        cell.id,
        planned.cell.fingerprint,
        planned.cell.model,
        planned.cell.method,
        planned.cell.batch,
        planned.cell.seed,
        planned.cell.layers,
        ",".join(f"{name}={value}" for name, value in planned.cell.method_options),
        cell.status,
    )
    for name, estimate in cell.estimates.items():
        metric = metrics.BY_NAME.get(name)
        if metric is not None:
            what = (name, metric.unit, metric.scope, metric.kind)
            numbers = (estimate.lower, estimate.estimate, estimate.upper, estimate.basis)
            yield (*of_cell, *what, *numbers)
