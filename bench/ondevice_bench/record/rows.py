"""The rows of the store as records, and back.

Equal records have equal rows, wherever they come from. Rows that are read are checked, because a
file may be damaged, or made by somebody else: ValueError if a row is not one of ours.
"""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

from pydantic_core import from_json

from ondevice_bench.record.details import Details
from ondevice_bench.record.measurement import Measurement
from ondevice_bench.record.model import Record, Run, TaskKey, status_of
from ondevice_bench.record.run_json import checked_cell, checked_run
from ondevice_bench.suite.planned_cell import PlannedCell

Row = tuple[Any, ...]

RUN_COLUMNS = (
    "id",
    "suite",
    "suite_text",
    "title",
    "definition",
    "origin",
    "created",
    "commit_id",
    "profile",
    "profile_text",
    "machine",
    "software",
    "settings",
    "command",
    "finished",
)
_FIELDS = {"commit_id": "commit"}  # columns that are not named like their field
_RUN_JSON = ("machine", "software", "settings")
_RECORD_JSON = ("unavailable", "details", "state_before", "state_after")
_RECORD_TYPES = (int, str, str, int, *[str] * 4, float, *[str] * 5)
# the columns of a measurement, after the record's number and before its details
MEASUREMENT_COLUMNS = ("pass", "round", "status", "reason", "launch", "started", "unavailable")
_NUMBERS = {float, int}
_LONG = {str, bytes}  # types of values that can be long
_MEASUREMENT_TYPES = (int, str, int, *[str] * 6)


@dataclass(frozen=True)
class RecordRows:
    """A record as its rows in three tables."""

    record: Row
    metrics: tuple[tuple[str, float], ...]
    samples: tuple[tuple[str, str], ...]

    @staticmethod
    def of(record: Record) -> "RecordRows":
        """The rows of a record, without its number."""
        return RecordRows(
            (
                record.run,
                record.key.cell,
                record.key.pass_name,
                record.key.round,
                record.status,
                record.reason,
                record.launch,
                record.started,
                float(record.seconds),
                record.output,
                *(json_text(getattr(record, column)) for column in _RECORD_JSON),
            ),
            tuple(sorted((name, float(value)) for name, value in record.metrics.items())),
            tuple(sorted((name, json_text(values)) for name, values in record.samples.items())),
        )


def record_of(
    run: str, row: Row, metrics: Mapping[str, float], samples: Mapping[str, Sequence[float]]
) -> Record:
    """The record of a row that begins with the record's number."""
    require_types(row, _RECORD_TYPES)
    columns = {column: mapping(text) for column, text in zip(_RECORD_JSON, row[10:], strict=True)}
    metrics, samples, unavailable = _shown(metrics, samples, columns.pop("unavailable"))
    return Record(
        run=run,
        key=TaskKey(*row[1:4]),
        status=status_of(row[4]),
        reason=row[5],
        launch=row[6],
        started=row[7],
        seconds=row[8],
        output=row[9],
        metrics=dict(metrics),
        samples={name: list(values) for name, values in samples.items()},
        unavailable=unavailable,
        **columns,
    )


def measurement_of(
    cell: str,
    row: Sequence[Any],
    metrics: Mapping[str, float],
    samples: Mapping[str, Sequence[float]],
) -> Measurement:
    """The measurement of a row: the record's number, `MEASUREMENT_COLUMNS`, and its details."""
    require_types(row, _MEASUREMENT_TYPES)
    _, name, number, status, reason, launch, started, unavailable, details = row
    try:
        read = Details.from_json(details)
    except ValueError as error:
        first = ", ".join(str(error).splitlines()[1:3])
        raise ValueError(f"details of {name}, round {number} of {cell}: {first}") from None
    shown = _shown(metrics, samples, mapping(unavailable))
    key = TaskKey(cell, name, number)
    return Measurement(key, status_of(status), reason, launch, *shown, read, started)


def _shown(
    metrics: Mapping[str, float],
    samples: Mapping[str, Sequence[float]],
    unavailable: Mapping[str, str],
) -> tuple[Mapping[str, float], Mapping[str, Sequence[float]], Mapping[str, str]]:
    """What can be drawn. A number that is not finite cannot: it is unavailable."""
    if unavailable:
        require_types(tuple(unavailable.values()), [str] * len(unavailable))
    numbers = chain(metrics.values(), chain.from_iterable(samples.values()))
    if all(map(math.isfinite, numbers)):
        return metrics, samples, unavailable
    odd = {name: value for name, value in metrics.items() if not math.isfinite(value)}
    odd |= {n: v for n, values in samples.items() for v in values if not math.isfinite(v)}
    return (
        {name: value for name, value in metrics.items() if name not in odd},
        {name: values for name, values in samples.items() if name not in odd},
        {
            **unavailable,
            **{n: f"{value} is not a value that can be shown" for n, value in odd.items()},
        },
    )


def samples_of(text: str) -> list[float]:
    """The samples of a metric."""
    values = from_json(text)
    if not isinstance(values, list) or not _NUMBERS.issuperset(map(type, values)):
        raise ValueError("samples that are no list of numbers")
    return values


def run_row(run: Run) -> list[Any]:
    """The row of a run."""
    values = {column: getattr(run, _FIELDS.get(column, column)) for column in RUN_COLUMNS}
    return [json_text(v) if column in _RUN_JSON else v for column, v in values.items()]


def run_of(row: Row) -> Run:
    """The run of a row."""
    values = {_FIELDS.get(c, c): value for c, value in zip(RUN_COLUMNS, row, strict=True)}
    require_types(tuple(values[column] for column in _RUN_JSON), [str] * len(_RUN_JSON))
    return checked_run(values | {column: mapping(values[column]) for column in _RUN_JSON})


def cell_rows(run: str, cells: Iterable[PlannedCell], first: int = 0) -> list[Row]:
    """The rows of a run's plan in its order, or of the part of it that begins at `first`."""
    return [
        (
            run,
            position,
            item.cell.id,
            item.profile,
            item.state,
            item.reason,
            item.cell.key,
            json_text(item.cell.to_dict()),
        )
        for position, item in enumerate(cells, first)
    ]


def cell_of(row: Row) -> PlannedCell:
    """The cell of definition, profile, state and reason."""
    require_types(row, [str] * 4)
    definition, profile, state, reason = row
    if state not in ("planned", "skipped", "pending"):
        raise ValueError(f"no state of a cell: {state!r}")
    return PlannedCell(checked_cell(definition), profile, state, reason)


def text_length(some: Sequence[Row], types: Sequence[type] | None = None) -> int:
    """The length of all texts in these rows; ValueError if a value has another type than given."""
    length = 0
    for place, column in enumerate(zip(*some, strict=True)):
        found = set(map(type, column))
        if types is not None and found != {types[place]}:
            require_types(column, [types[place]] * len(column))
        if found == {str}:
            length += sum(map(len, column))
        elif found & _LONG:
            length += sum(len(value) for value in column if type(value) in _LONG)
    return length


def require_types(row: Sequence[Any], types: Sequence[type]) -> None:
    """ValueError if a value of the row has another type."""
    if list(map(type, row)) == list(types):
        return
    for value, expected in zip(row, types, strict=True):
        if type(value) is not expected:
            raise ValueError(f"a {type(value).__name__} in place of a {expected.__name__}")


def mapping(text: str) -> dict[str, Any]:
    """The JSON object of a column."""
    values = {} if text == "{}" else from_json(text)
    if not isinstance(values, dict):
        raise ValueError("JSON that is not an object")
    return values


def json_text(value: Any) -> str:
    """The JSON of a column: equal values are equal texts."""
    return json.dumps(value, sort_keys=True)
