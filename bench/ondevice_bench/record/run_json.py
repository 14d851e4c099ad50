"""A run as JSON from another machine, checked by schemas that derive from the records."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from functools import cache, lru_cache
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, create_model

from ondevice_bench.bounded_json import built_bytes
from ondevice_bench.declare.schema import Name, StrictSchema, schema_of
from ondevice_bench.errors import BadInput
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
    values = read_checked(where, _file_schema(), data)
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
    """The schema of a run's JSON: the fields of the records, some with stricter types."""
    definition: Any = _cell_schema()
    cell: Any = schema_of(
        PlannedCell,
        ClosedSchema,
        cell=Annotated[definition, Field(alias="definition")],
        profile=Name,
    )
    run: Any = _run_schema(Name)
    record: Any = _record_schema()
    return create_model(
        "RunFile",
        __base__=ClosedSchema,
        run=(run, ...),
        cells=(list[cell], ...),
        records=(list[record], ...),
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


def require_small(where: str, *texts: bytes) -> None:
    """BadInput if the values of these JSON texts would take too much memory."""
    if sum(map(built_bytes, texts)) > MAX_BUILT:
        raise BadInput(
            f"{where}: its values would take more than {MAX_BUILT >> 20} MiB of memory: "
            "export fewer runs at a time"
        )


def read_checked(where: str, schema: type[BaseModel], data: bytes) -> Any:
    """The values of a JSON text that fits its schema; BadInput with the first error if not."""
    try:
        values = json.loads(data, parse_constant=_refuse_constant)
        text = json.dumps(values, ensure_ascii=False).encode()  # fails on half a surrogate pair
        _require_flat(values)
        schema.model_validate_json(text)
    except ValidationError as error:
        raise BadInput(f"{where}: {first_problem(error)}") from None
    except (ValueError, RecursionError) as error:
        raise BadInput(f"{where}: not JSON of a bundle: {first_line(error)}") from None
    return values


def first_problem(error: ValidationError) -> str:
    """The first thing that is wrong, with its place in the values."""
    first = error.errors()[0]
    key_path = ".".join(str(step) for step in first["loc"])[:200]
    return f"{key_path}: {first['msg']}"


def _require_flat(values: Any) -> None:
    """Refuse deep nesting, and numbers that the store cannot hold."""
    level: list[Any] = [values]
    for _ in range(MAX_DEPTH):
        below: list[Any] = []
        for value in level:
            if isinstance(value, Mapping):
                below += value.values()
            elif isinstance(value, list):
                below += value
            elif isinstance(value, int | float) and not abs(value) < 1 << 63:
                raise ValueError("a number beyond 63 bits")
        if not below:
            return
        level = below
    raise ValueError(f"nested more than {MAX_DEPTH} deep")


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is not a number of a bundle")


def first_line(error: BaseException) -> str:
    """The message of an error, on one short line."""
    return (str(error).splitlines() or [type(error).__name__])[0][:200]
