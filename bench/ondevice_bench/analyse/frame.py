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

    rows = [
        (*cell_columns(one.run, cell), *of_metric)
        for one in summaries
        for cell in one.cells
        for of_metric in metric_columns(cell)
    ]
    return pandas.DataFrame.from_records(rows, columns=list(COLUMNS))


def cell_columns(run: Run, cell: CellSummary) -> tuple[Any, ...]:
    """The columns that are equal in all rows of a cell: those before `metric`."""
    planned = cell.planned
    return (
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


def metric_columns(cell: CellSummary) -> Iterator[tuple[Any, ...]]:
    """The columns from `metric` on, for each estimate of a cell."""
    for name, estimate in cell.estimates.items():
        metric = metrics.BY_NAME.get(name)
        if metric is not None:
            bounds = (estimate.lower, estimate.estimate, estimate.upper)
            numbers = (None if value is None else float(value) for value in bounds)
            yield (name, metric.unit, metric.scope, metric.kind, *numbers, estimate.basis)
