"""Summaries as a pandas DataFrame: one row for each run, cell and metric."""

from collections.abc import Iterator, Sequence
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ondevice_bench import metrics
from ondevice_bench.analyse.find_runs import find_stores
from ondevice_bench.analyse.groups import groups
from ondevice_bench.analyse.summarise import summarise
from ondevice_bench.analyse.summary import CellEstimates, RunSummary
from ondevice_bench.errors import BadInput
from ondevice_bench.record.model import Run
from ondevice_bench.record.store import Store
from ondevice_bench.suite.cell import Options
from ondevice_bench.suite.labels import method_label

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
    "model_options",
    "data",
    "weights",
    "dtype",
    "allocator",
    "threads",
    "label",
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


FRAME_COLUMNS = (*COLUMNS, "ratio")
_OF_CELL = tuple(takewhile(lambda column: column != "metric", COLUMNS))
SAMPLE_COLUMNS = (*_OF_CELL, "metric", "unit", "scope", "kind", "process", "sample", "value")


def load(name: str | Path, *, samples: bool = False) -> "pandas.DataFrame":
    """Every estimate of every run in a store, one row for each run, cell and metric.

    `name` is the name of a suite, or the path of a store. With `samples`, each sample that was
    measured has a row. Each row names its unit.
    """
    if not isinstance(name, str | Path):
        raise BadInput(
            f"name: must be the name of a suite or the path of a store, got a {type(name).__name__}"
        )
    path = Path(name) if Path(name).is_file() else find_stores([str(name)])[0]
    with Store.open(path) as store:
        summaries = [summarise(store, run) for run in store.runs()]
    return samples_of(summaries) if samples else frame_of(summaries)


def frame_of(summaries: Sequence[RunSummary]) -> "pandas.DataFrame":
    """Every estimate of these runs, with the columns `FRAME_COLUMNS`.

    `lower` and `upper` are empty if there is no interval. `ratio` is the estimate as a multiple of
    the baseline's, and empty if the baseline was not measured.
    """
    rows = []
    for one in summaries:
        members = {member.cell.id: member for group in groups(one) for member in group.members}
        for cell in one.cells:
            for of_metric in metric_columns(cell):
                over = members[cell.id].ratio(of_metric[0])
                ratio = None if over is None else over.estimate
                rows.append((*cell_columns(one.run, cell), *of_metric, ratio))
    return _frame(rows, FRAME_COLUMNS)


def samples_of(summaries: Sequence[RunSummary]) -> "pandas.DataFrame":
    """Every sample of these runs, with the columns `SAMPLE_COLUMNS`.

    `process` and `sample` count from 1, within a cell and within a process.
    """
    rows = [
        (*cell_columns(one.run, cell), *_of_metric(name), process, number, float(value))
        for one in summaries
        for cell in one.cells
        for name, processes in cell.samples.items()
        if name in metrics.BY_NAME
        for process, values in enumerate(processes, 1)
        for number, value in enumerate(values, 1)
    ]
    return _frame(rows, SAMPLE_COLUMNS)


def _frame(rows: Sequence[tuple[Any, ...]], columns: Sequence[str]) -> "pandas.DataFrame":
    import pandas

    frame = pandas.DataFrame.from_records(rows, columns=list(columns))
    frame["created"] = pandas.to_datetime(frame["created"], utc=True)
    return frame


def cell_columns(run: Run, cell: CellEstimates) -> tuple[Any, ...]:
    """The columns before `metric`. They are equal in all rows of a cell."""
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
        _options(planned.cell.method_options),
        _options(planned.cell.model_options),
        planned.cell.data,
        planned.cell.weights,
        planned.cell.dtype,
        planned.cell.allocator,
        run.machine.get("threads"),
        method_label(planned.cell),
        cell.status,
    )


def metric_columns(cell: CellEstimates) -> Iterator[tuple[Any, ...]]:
    """The column `metric` and those after it, for each estimate of a cell."""
    for name, estimate in cell.estimates.items():
        if name in metrics.BY_NAME:
            lower = None if estimate.lower is None else float(estimate.lower)
            upper = None if estimate.upper is None else float(estimate.upper)
            yield (*_of_metric(name), lower, float(estimate.estimate), upper, estimate.basis)


def _of_metric(name: str) -> tuple[str, str, str, str]:
    metric = metrics.BY_NAME[name]
    return name, metric.unit, metric.scope, metric.kind


def _options(options: Options) -> str:
    return ",".join(f"{name}={value}" for name, value in options)
