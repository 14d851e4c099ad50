"""A run as JSON from elsewhere: its schema, and all that must hold before it is believed."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ondevice_bench.errors import BadInput
from ondevice_bench.record.model import Record, Run, TaskKey
from ondevice_bench.suite.cell import Cell
from ondevice_bench.suite.goal import Minimised
from ondevice_bench.suite.planned_cell import PlannedCell

MAX_DEPTH = 64


@dataclass(frozen=True)
class Content:
    """A run, whole."""

    run: Run
    cells: tuple[PlannedCell, ...]
    records: tuple[Record, ...]


def content_of(where: str, data: bytes) -> Content:
    """The run in a text from elsewhere, checked; BadInput where anything is wrong with it."""
    file = checked(where, _RunFile, data)
    plan = [item.cell() for item in file.cells]
    planned = {item.cell.id for item in plan if item.state == "planned"}
    try:
        records = tuple(record.record(file.run.id) for record in file.records)
    except ValueError as error:
        raise BadInput(f"{where}: {error}") from None
    keys = [record.key for record in records]
    if len(set(keys)) < len(keys):
        raise BadInput(f"{where}: two records of the same measurement")
    strange = next((key.cell for key in keys if key.cell not in planned), None)
    if strange is not None:
        raise BadInput(f"{where}: a record of {strange!r}, which the run did not plan")
    if len({(item.profile, item.cell.id) for item in plan}) < len(plan):
        raise BadInput(f"{where}: a cell is planned twice")
    return Content(Run(**file.run.model_dump(exclude_unset=True)), tuple(plan), records)


def plain(content: Content) -> dict[str, Any]:
    """The run as plain values; `content_of` is the inverse."""
    return {
        "run": asdict(content.run),
        "cells": [
            {
                "definition": item.cell.to_json(),
                "profile": item.profile,
                "state": item.state,
                "reason": item.reason,
            }
            for item in content.cells
        ],
        "records": [
            {**{k: v for k, v in asdict(record).items() if k not in ("run", "key")}, **_key(record)}
            for record in content.records
        ],
    }


def _key(record: Record) -> dict[str, Any]:
    return {"cell": record.key.cell, "pass": record.key.pass_name, "round": record.key.round}


class Strict(BaseModel):
    """What is known to the last field."""

    model_config = ConfigDict(
        extra="forbid", strict=True, frozen=True, allow_inf_nan=False, populate_by_name=True
    )


# what becomes part of a path, and what is only ever shown
Name = Annotated[str, Field(pattern=r"^\w[\w.+-]{0,199}$")]
Text = Annotated[str, Field(max_length=1 << 20)]
_Scalar = bool | int | float | str | None


class _TrainFile(Strict):
    optimizer: Text
    lr: float
    momentum: float
    weight_decay: float
    clip: float | None
    zero_grad: Text
    freeze_bn: bool


class _Definition(Strict):
    id: Text
    model: Text
    method: Text
    batch: Annotated[int, Field(ge=1, lt=1 << 31)]
    seed: Annotated[int, Field(ge=0, lt=1 << 32)]
    model_options: list[tuple[Text, _Scalar]]
    method_options: list[tuple[Text, _Scalar]]
    layers: Text
    dtype: Text
    data: Text
    weights: Text
    train: _TrainFile


class _CellFile(Strict):
    definition: _Definition
    profile: Name
    state: Literal["planned", "skipped", "pending"]
    reason: Text

    def cell(self) -> PlannedCell:
        """As the engine knows it."""
        known = Cell.from_json(self.definition.model_dump())
        return PlannedCell(known, self.profile, self.state, self.reason)


class _Open(BaseModel):
    """What later versions may say more of."""

    model_config = ConfigDict(extra="allow", strict=True, frozen=True, allow_inf_nan=False)


class _Machine(_Open):
    arch: Text
    board: Text
    cpu: Text
    physical_cores: int
    logical_cores: int
    memory_gib: int
    page_bytes: int
    kernel: Text
    libc: Text
    threads: int


class _Software(_Open):
    bench: Text
    python: Text
    torch: Text
    torch_commit: Text | None
    torch_blas: Text
    torch_cpu: Text


class _Finding(_Open):
    subject: Text
    level: Text
    said: Text
    effect: Text


class _Goal(_Open):
    minimise: Minimised
    min_cosine: float
    max_peak_bytes: float | None = None
    max_slowdown: float | None = None


class _Settings(_Open):
    measure: list[Name]
    rounds: int | dict[Name, int]
    cpus: list[int] = []
    memory_cap_bytes: int | None = None
    doctor: list[_Finding] = []
    emulated: bool = False
    interleaved: bool = True
    budget_seconds: float | None = None
    baseline: Text = "vanilla"
    goal: _Goal | None = None
    peaks: dict[Name, float] = {}


class _Precision(_Open):
    asked: float
    reached: float | None
    ended_by: Text


class _Treated(_Open):
    shape: list[int] | None
    activation_ranks: list[int] | None
    weight_rank: int | None
    stored_elements: int | None


class _Curve(_Open):
    seconds: list[float] = []
    rss_bytes: list[float] = []
    marks: list[tuple[Text, float]] = []


class _LayerGradient(_Open):
    cosine: float | None


class _Details(_Open):
    notes: list[Text] = []
    foreign_cpu_share: float | None = None
    precision: _Precision | None = None
    swap_bytes: float | None = None
    treated: dict[Text, _Treated] = {}
    curve: _Curve = _Curve()
    disturbed: dict[Name, list[float]] = {}
    layers: dict[Text, dict[Text, _LayerGradient]] = {}


class _RunHead(Strict):
    id: Name
    suite: Name
    suite_text: Text
    title: Text
    definition: Text
    origin: Name
    created: Annotated[str, Field(pattern=r"^\d{4}-\d\d-\d\dT[\d:.]{8,20}[+\d:]{1,8}$")]
    commit: Name
    profile: Name
    profile_text: Text
    machine: _Machine
    software: _Software
    settings: _Settings
    command: Text
    finished: Text | None


class _RecordFile(Strict):
    cell: Text
    pass_name: Name = Field(alias="pass")
    round: Annotated[int, Field(ge=1, lt=1 << 31)]
    status: Literal["ok", "failed", "timeout", "oom", "skipped"]
    reason: Text
    launch: Text
    started: Text
    seconds: Annotated[float, Field(ge=0)]
    metrics: dict[Name, float]
    samples: dict[Name, list[float]]
    unavailable: dict[Name, Text]
    details: _Details
    state_before: dict[Text, Any]
    state_after: dict[Text, Any]
    output: Text

    def record(self, run: str) -> Record:
        """As the engine knows it; ValueError where it contradicts itself."""
        values = self.model_dump(exclude={"cell", "pass_name", "round"}, exclude_unset=True)
        return Record(run=run, key=TaskKey(self.cell, self.pass_name, self.round), **values)


class _RunFile(Strict):
    run: _RunHead
    cells: list[_CellFile]
    records: list[_RecordFile]


Schema = TypeVar("Schema", bound=BaseModel)


def checked(where: str, schema: type[Schema], data: bytes) -> Schema:
    """The JSON as an instance of its schema, or BadInput with the first thing that is wrong."""
    try:
        values = json.loads(data, parse_constant=_refuse_constant)
        json.dumps(values, ensure_ascii=False).encode()  # half a surrogate pair is no text
        _require_flat(values)
        return schema.model_validate_json(data)
    except ValidationError as error:
        first = error.errors()[0]
        spot = ".".join(str(step) for step in first["loc"])[:200]
        raise BadInput(f"{where}: {spot}: {first['msg']}") from None
    except (ValueError, RecursionError) as error:
        raise BadInput(f"{where}: not JSON of a bundle: {first_line(error)}") from None


def _require_flat(values: Any) -> None:
    """Refuse what is nested deeply, and numbers beyond what the store can hold."""
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
    raise ValueError(f"{name} is no number of a bundle")


def first_line(error: BaseException) -> str:
    """What an error says, on one short line."""
    return (str(error).splitlines() or [type(error).__name__])[0][:200]
