"""A run as JSON from another machine, checked by schemas that derive from the records."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from functools import cache, lru_cache
from math import isfinite
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, create_model
from pydantic_core import from_json, to_json

from ondevice_bench.bounded_json import built_bytes
from ondevice_bench.declare.schema import Name, StrictSchema, schema_of
from ondevice_bench.errors import BadInput, first_line
from ondevice_bench.hardware.finding import DoctorFinding
from ondevice_bench.hardware.probe import Machine
from ondevice_bench.record.acceptance import Acceptance
from ondevice_bench.record.details import Details
from ondevice_bench.record.model import Record, Run, TaskKey
from ondevice_bench.suite.cell import Cell
from ondevice_bench.suite.goal import GOALS, Goal
from ondevice_bench.suite.planned_cell import PlannedCell

MAX_DEPTH = 64
MAX_TEXT = 1 << 20
MAX_BUILT = 512 << 20

# model/method/layers/batch/seed, as `suite/cell_ids.py` writes it
_CellId = Annotated[str, Field(pattern=r"^[^/]+/[^/]+/.+/b[0-9]+/([^/]+/){0,2}s[0-9]+$")]
# the same in a store here, whose suites and profiles may be named like any file
_FileName = Annotated[str, Field(pattern=r"^[^/\x00-\x1f]+$", max_length=400)]
_Label = Annotated[str, Field(pattern=r"^(\w[\w.-]*)?$", max_length=40)]
_Moment = Annotated[str, Field(pattern=r"^\d{4}-\d\d-\d\dT[\d:.]{8,20}[+\d:]{1,8}$")]
_Count = Annotated[int, Field(ge=1, lt=1 << 31)]
_Seed = Annotated[int, Field(ge=0, lt=1 << 32)]


class ClosedSchema(StrictSchema):
    """A schema that rejects unknown fields and long texts."""

    model_config = ConfigDict(str_max_length=MAX_TEXT)


class _OpenSchema(ClosedSchema):
    """A schema that ignores unknown fields: later versions may add some."""

    model_config = ConfigDict(extra="ignore")


@dataclass(frozen=True)
class RunContent:
    """A run with its plan and its records. Only a baseline has changes that somebody accepted."""

    run: Run
    cells: tuple[PlannedCell, ...]
    records: tuple[Record, ...]
    accepted: tuple[Acceptance, ...] = ()

    def accepting(self, acceptance: Acceptance) -> "RunContent":
        """The content with one more acceptance, in place of an earlier one of the same metric.

        The run's own values need none: then only the earlier one goes.
        """
        place = (acceptance.cell, acceptance.metric)
        others = (each for each in self.accepted if (each.cell, each.metric) != place)
        own = {
            record.metrics.get(acceptance.metric)
            for record in self.records
            if record.key.cell == acceptance.cell
        }
        is_own = own - {None} == set(acceptance.values)
        return replace(self, accepted=(*others,) if is_own else (*others, acceptance))

    def to_dict(self) -> dict[str, Any]:
        """The run as plain values, without what was accepted; `read_run` is the inverse."""
        return {
            "run": asdict(self.run),
            "cells": [_cell_to_dict(cell) for cell in self.cells],
            "records": [_record_to_dict(record) for record in self.records],
        }


def read_run(where: str, data: bytes) -> RunContent:
    """Read and check a run; BadInput if anything in it is wrong."""
    values = _read_parts(where, data)
    run = Run(**values["run"])
    cells = tuple(_cell_from_dict(each) for each in values["cells"])
    try:
        records = tuple(_record_from_dict(run.id, each) for each in values["records"])
    except ValueError as error:
        raise BadInput(f"{where}: {error}") from None
    keys = [record.key for record in records]
    if len(set(keys)) < len(keys):
        raise BadInput(f"{where}: two records of the same measurement")
    planned = {each.cell.id for each in cells if each.state == "planned"}
    stray = next((key.cell for key in keys if key.cell not in planned), None)
    if stray is not None:
        raise BadInput(f"{where}: a record of {stray!r}, which the run did not plan")
    if len({(each.profile, each.cell.id) for each in cells}) < len(cells):
        raise BadInput(f"{where}: a cell is planned twice")
    return RunContent(run, cells, records)


def checked_run(values: Mapping[str, Any]) -> Run:
    """The run of plain values; ValueError if they are not those of a run."""
    try:
        _run_schema(_FileName).model_validate(values)
    except ValidationError as error:
        raise ValueError(first_problem(error)) from None
    return Run(**values)


@lru_cache(maxsize=256)
def checked_cell(text: str) -> Cell:
    """The cell of its JSON, or ValueError. The runs of a history have the same cells."""
    try:
        _cell_schema().model_validate_json(text)
        return Cell.from_dict(json.loads(text))
    except ValidationError as error:
        raise ValueError(first_problem(error)) from None


def check_record(record: Record) -> None:
    """BadInput if no bundle could carry the record: what a run stores, an import accepts."""
    text = json.dumps(_record_to_dict(record)).encode()
    read_checked("record", _record_schema(), text)


def _cell_to_dict(planned: PlannedCell) -> dict[str, Any]:
    return {
        "definition": planned.cell.to_dict(),
        "profile": planned.profile,
        "state": planned.state,
        "reason": planned.reason,
    }


def _cell_from_dict(values: Mapping[str, Any]) -> PlannedCell:
    fields = dict(values)
    cell = _cell_adapter().validate_python(fields.pop("definition"))
    return PlannedCell(cell, **fields)


def _record_to_dict(record: Record) -> dict[str, Any]:
    fields = {name: value for name, value in asdict(record).items() if name not in ("run", "key")}
    key = record.key
    return {**fields, "cell": key.cell, "pass": key.pass_name, "round": key.round}


def _record_from_dict(run: str, values: Mapping[str, Any]) -> Record:
    fields = dict(values)
    key = TaskKey(fields.pop("cell"), fields.pop("pass"), fields.pop("round"))
    return Record(run=run, key=key, **fields)


class _Threads(_OpenSchema):
    threads: int


class _Software(_OpenSchema):
    bench: str
    python: str
    torch: str
    torch_commit: str | None
    torch_blas: str
    torch_cpu: str


class _Settings(_OpenSchema):
    measure: list[Name]
    rounds: int | dict[Name, int]
    cpus: list[int] = Field(default_factory=list)
    memory_cap_bytes: int | None = None
    memory_limit_bytes: int | None = None  # of a container
    emulated: bool = False
    interleaved: bool = True
    budget_seconds: float | None = None
    baseline: str = "vanilla"
    peaks: dict[Name, float] = Field(default_factory=dict)
    examples: Annotated[int, Field(ge=0)] | None = None
    begun_with: dict[Name, Any] = Field(default_factory=dict)


class _Key(ClosedSchema):
    cell: str
    pass_name: Name = Field(alias="pass")
    round: _Count


@cache
def _cell_adapter() -> TypeAdapter[Cell]:
    return TypeAdapter(Cell)


@cache
def _cell_schema() -> type[BaseModel]:
    return schema_of(Cell, ClosedSchema, id=_CellId, batch=_Count, seed=_Seed, label=_Label)


@cache
def _run_schema(name: Any) -> type[BaseModel]:
    """The schema of a run without its plan and records; `name` is the type of names in it."""
    finding: Any = schema_of(
        DoctorFinding,
        _OpenSchema,
        level=str,
        observation=Annotated[str, Field(alias="said")],
    )
    goal: Any = schema_of(Goal, _OpenSchema, minimise=Literal[GOALS])
    return schema_of(
        Run,
        ClosedSchema,
        id=name,
        suite=name,
        origin=Name,
        created=_Moment,
        commit=Name,
        profile=name,
        machine=schema_of(Machine, _Threads),
        software=_Software,
        settings=create_model(
            "Settings", __base__=_Settings, doctor=(list[finding], []), goal=(goal | None, None)
        ),
    )


@cache
def _file_schema() -> type[BaseModel]:
    """The schema of a run's JSON. The parts of its lists have schemas of their own."""
    run: Any = _run_schema(Name)
    return create_model(
        "RunFile",
        __base__=ClosedSchema,
        run=(run, ...),
        cells=(list[Any], ...),
        records=(list[Any], ...),
    )


@cache
def _planned_schema() -> type[BaseModel]:
    definition: Any = _cell_schema()
    return schema_of(
        PlannedCell,
        ClosedSchema,
        cell=Annotated[definition, Field(alias="definition")],
        profile=Name,
    )


@cache
def _record_schema() -> type[BaseModel]:
    return schema_of(
        Record,
        _Key,
        without=("run", "key"),
        seconds=Annotated[float, Field(ge=0)],
        metrics=dict[Name, float],
        samples=dict[Name, list[float]],
        unavailable=dict[Name, str],
        details=schema_of(Details, _OpenSchema),
    )


def require_small(where: str, text: bytes, before: int = 0) -> int:
    """The memory of the values of a JSON text and of those before; BadInput if it is too much."""
    built = before + built_bytes(text)
    if built > MAX_BUILT:
        raise BadInput(
            f"{where}: its values would take more than {MAX_BUILT >> 20} MiB of memory: "
            "export fewer runs at a time"
        )
    return built


def read_checked(where: str, schema: type[BaseModel], data: bytes) -> Any:
    """The values of a JSON text that fits its schema; BadInput with the first error if not."""
    values = _values_of(where, data)
    _require_fit(where, schema, values)
    return values


def _read_parts(where: str, data: bytes) -> Any:
    """The checked values of a run. Its cells and records are checked one by one.

    The schema makes a copy of what it checks, and a run may be large.
    """
    values = _values_of(where, data)
    parts = {"cells": _planned_schema, "records": _record_schema}
    empty: dict[str, list[Any]] = {name: [] for name in parts if _is_list(values, name)}
    _require_fit(where, _file_schema(), {**values, **empty} if empty else values)
    for name, schema in parts.items():
        for place, each in enumerate(values[name]):
            _require_fit(where, schema(), each, (name, place))
    return values


def _is_list(values: Any, name: str) -> bool:
    return isinstance(values, dict) and isinstance(values.get(name), list)


def _values_of(where: str, data: bytes) -> Any:
    """The values of a JSON text that a bundle may hold; BadInput if it is none."""
    try:
        values = from_json(data)
        _require_flat(values)
    except ValueError as error:
        raise BadInput(f"{where}: not JSON of a bundle: {first_line(error)}") from None
    return values


def _require_fit(
    where: str, schema: type[BaseModel], values: Any, place: tuple[str | int, ...] = ()
) -> None:
    """BadInput if the values, read from JSON, do not fit the schema."""
    try:
        schema.model_validate_json(to_json(values))
    except ValidationError as error:
        raise BadInput(f"{where}: {first_problem(error, place)}") from None


def first_problem(error: ValidationError, place: tuple[str | int, ...] = ()) -> str:
    """The first thing that is wrong. `place` is where the values are in the file."""
    first = error.errors()[0]
    key_path = ".".join(str(step) for step in (*place, *first["loc"]))[:200]
    return f"{key_path}: {first['msg']}"


def _require_flat(values: Any) -> None:
    """Refuse deep nesting, long texts, and numbers that the store cannot hold."""
    level: list[Any] = [[values]]
    for _ in range(MAX_DEPTH + 1):
        below: list[Any] = []
        for each in level:
            for value in each.values() if isinstance(each, dict) else each:
                if isinstance(value, dict | list):
                    below.append(value)
                elif isinstance(value, str):
                    if len(value) > MAX_TEXT:
                        raise ValueError(f"a text of more than {MAX_TEXT} characters")
                elif isinstance(value, int | float) and not abs(value) < 1 << 63:
                    raise ValueError(_why_no_number(value))
        if not below:
            return
        level = below
    raise ValueError(f"nested more than {MAX_DEPTH} deep")


def _why_no_number(value: float) -> str:
    if isinstance(value, int) or isfinite(value):
        return "a number beyond 63 bits"
    return f"{value} is not a number of a bundle"
