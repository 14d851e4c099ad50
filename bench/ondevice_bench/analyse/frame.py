"""Summaries as a pandas DataFrame: one row for each run, cell and metric."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ondevice_bench import metrics
from ondevice_bench.analyse.summary import RunSummary, summarise
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
        (
            summary.run.id,
            summary.run.created,
            summary.run.commit,
            cell.planned.profile,
            cell.id,
            cell.planned.cell.fingerprint,
            cell.planned.cell.model,
            cell.planned.cell.method,
            cell.planned.cell.batch,
            cell.planned.cell.seed,
            cell.planned.cell.layers,
            ",".join(f"{name}={value}" for name, value in cell.planned.cell.method_options),
            cell.status,
            name,
            metrics.BY_NAME[name].unit,
            metrics.BY_NAME[name].scope,
            metrics.BY_NAME[name].kind,
            estimate.lower,
            estimate.estimate,
            estimate.upper,
            estimate.basis,
        )
        for summary in summaries
        for cell in summary.cells
        for name, estimate in cell.estimates.items()
        if name in metrics.BY_NAME
    ]
    return pandas.DataFrame.from_records(rows, columns=list(COLUMNS))
