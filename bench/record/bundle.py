"""Runs as one file, to be carried from a board to a desk.

A zip of JSON: `manifest.json` names every other member with its SHA-256; each of these is a run
with its plan and its records. Whatever a file from elsewhere may hold, it is either a bundle, and
then all of it is checked before anything is stored, or bad input.

| version | since | what changed |
| --- | --- | --- |
| 1 | 0.1.0 | runs with plan and records |
"""

import hashlib
import json
import struct
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

import bench
from bench.errors import BadInput
from bench.files import written_whole
from bench.record.model import Record, Run, RunCell, TaskKey
from bench.suite.cell import Cell
from bench.suite.goal import Minimised

FORMAT, VERSION = "ondevice-bench bundle", 1
SUFFIX = ".bundle"
MAX_FILE = 256 << 20
MAX_MEMBERS = 1000
MAX_UNPACKED = 1 << 30
MAX_DEPTH = 64
_MANIFEST = "manifest.json"
_DAMAGED = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    NotImplementedError,
    RuntimeError,
    ValueError,
    OverflowError,
    OSError,
)


@dataclass(frozen=True)
class Content:
    """A run, whole."""

    run: Run
    cells: tuple[RunCell, ...]
    records: tuple[Record, ...]


def write(contents: Sequence[Content], path: Path) -> None:
    """Write a bundle, whole or not at all; equal runs give equal bytes."""
    members = {
        f"runs/{number}.json": json.dumps(plain(content), sort_keys=True).encode()
        for number, content in enumerate(contents, start=1)
    }
    manifest = {
        "format": FORMAT,
        "version": VERSION,
        "bench": bench.__version__,
        "members": {name: hashlib.sha256(data).hexdigest() for name, data in members.items()},
    }
    members = {_MANIFEST: json.dumps(manifest, sort_keys=True).encode(), **members}
    with written_whole(path) as file, zipfile.ZipFile(file, "w") as bundle:
        for name, data in members.items():
            info = zipfile.ZipInfo(name)  # without the time of day
            info.compress_type = zipfile.ZIP_DEFLATED
            bundle.writestr(info, data)


def read(path: Path) -> tuple[Content, ...]:
    """The runs of a bundle, checked; BadInput where it is none, or a damaged or newer one."""
    try:
        if path.stat().st_size > MAX_FILE:
            raise BadInput(f"{path}: larger than {MAX_FILE >> 20} MiB, not a bundle")
        with zipfile.ZipFile(path) as bundle:
            members = _members(path, bundle)
    except FileNotFoundError:
        raise BadInput(f"{path}: no such file") from None
    except IsADirectoryError:
        raise BadInput(f"{path}: is a folder, not a bundle") from None
    except _DAMAGED as error:
        raise BadInput(f"{path}: damaged, or not a bundle: {_first_line(error)}") from None
    found = tuple(content_of(f"{path}: {name}", data) for name, data in members.items())
    ids = [content.run.id for content in found]
    if len(set(ids)) < len(ids):
        raise BadInput(f"{path}: holds the same run twice")
    return found


def _members(path: Path, bundle: zipfile.ZipFile) -> dict[str, bytes]:
    """The members that the manifest names, as their sums say; nothing else may be there."""
    infos = bundle.infolist()
    names = [info.filename for info in infos]
    if _MANIFEST not in names:
        raise BadInput(f"{path}: a zip of something else, not a bundle")
    if len(names) > MAX_MEMBERS or len(set(names)) < len(names):
        raise BadInput(f"{path}: too many members, or one twice: not a bundle")
    unpacked = 0
    for info in infos:
        unpacked += info.file_size
        known = info.compress_type in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
        if unpacked > MAX_UNPACKED or not known or info.flag_bits & 1:
            raise BadInput(f"{path}: {info.filename!r}: too large, or packed as no bundle is")
    manifest = _checked(f"{path}: {_MANIFEST}", _Manifest, bundle.read(_MANIFEST))
    if manifest.version > VERSION:
        raise BadInput(
            f"{path}: written by a newer bench (bundle version {manifest.version}, this one knows "
            f"up to {VERSION}): upgrade ondevice-bench"
        )
    if set(manifest.members) | {_MANIFEST} != set(names):
        raise BadInput(f"{path}: its members are not those that its manifest names")
    members = {name: bundle.read(name) for name in sorted(manifest.members, key=_number)}
    for name, data in members.items():
        if hashlib.sha256(data).hexdigest() != manifest.members[name]:
            raise BadInput(f"{path}: {name}: its sum is not that of the manifest")
    return members


def _number(name: str) -> int:
    return int("0" + "".join(c for c in name if c.isascii() and c.isdigit())[:9])


def content_of(where: str, data: bytes) -> Content:
    """The run in a text from elsewhere, checked; BadInput where anything is wrong with it."""
    file = _checked(where, _RunFile, data)
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


class _Strict(BaseModel):
    model_config = ConfigDict(
        extra="forbid", strict=True, frozen=True, allow_inf_nan=False, populate_by_name=True
    )


# what becomes part of a path, and what is only ever shown
_Name = Annotated[str, Field(pattern=r"^\w[\w.+-]{0,199}$")]
_Text = Annotated[str, Field(max_length=1 << 20)]
_Sum = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
_Member = Annotated[str, Field(pattern=r"^runs/[1-9]\d{0,3}\.json$")]
_Scalar = bool | int | float | str | None


class _Manifest(_Strict):
    format: Literal["ondevice-bench bundle"]
    version: Annotated[int, Field(ge=1)]
    bench: _Text
    members: dict[_Member, _Sum] = Field(min_length=1)


class _TrainFile(_Strict):
    optimizer: _Text
    lr: float
    momentum: float
    weight_decay: float
    clip: float | None
    zero_grad: _Text
    freeze_bn: bool


class _Definition(_Strict):
    id: _Text
    model: _Text
    method: _Text
    batch: Annotated[int, Field(ge=1, lt=1 << 31)]
    seed: Annotated[int, Field(ge=0, lt=1 << 32)]
    model_options: list[tuple[_Text, _Scalar]]
    method_options: list[tuple[_Text, _Scalar]]
    layers: _Text
    dtype: _Text
    data: _Text
    weights: _Text
    train: _TrainFile


class _CellFile(_Strict):
    definition: _Definition
    profile: _Name
    state: Literal["planned", "skipped", "pending"]
    reason: _Text

    def cell(self) -> RunCell:
        """As the engine knows it."""
        known = Cell.from_json(self.definition.model_dump())
        return RunCell(known, self.profile, self.state, self.reason)


class _Open(BaseModel):
    """What later versions may say more of."""

    model_config = ConfigDict(extra="allow", strict=True, frozen=True, allow_inf_nan=False)


class _Machine(_Open):
    arch: _Text
    board: _Text
    cpu: _Text
    physical_cores: int
    logical_cores: int
    memory_gib: int
    page_bytes: int
    kernel: _Text
    libc: _Text
    threads: int


class _Software(_Open):
    bench: _Text
    python: _Text
    torch: _Text
    torch_commit: _Text | None
    torch_blas: _Text
    torch_cpu: _Text


class _Finding(_Open):
    subject: _Text
    level: _Text
    said: _Text
    effect: _Text


class _Goal(_Open):
    minimise: Minimised
    min_cosine: float
    max_peak_bytes: float | None = None
    max_slowdown: float | None = None


class _Settings(_Open):
    measure: list[_Name]
    rounds: int | dict[_Name, int]
    cpus: list[int] = []
    memory_cap_bytes: int | None = None
    doctor: list[_Finding] = []
    emulated: bool = False
    interleaved: bool = True
    budget_seconds: float | None = None
    baseline: _Text = "vanilla"
    goal: _Goal | None = None
    peaks: dict[_Name, float] = {}


class _Precision(_Open):
    asked: float
    reached: float | None
    ended_by: _Text


class _Treated(_Open):
    shape: list[int] | None
    activation_ranks: list[int] | None
    weight_rank: int | None
    stored_elements: int | None


class _Curve(_Open):
    seconds: list[float] = []
    rss_bytes: list[float] = []
    marks: list[tuple[_Text, float]] = []


class _LayerGradient(_Open):
    cosine: float | None


class _Details(_Open):
    notes: list[_Text] = []
    foreign_cpu_share: float | None = None
    precision: _Precision | None = None
    swap_bytes: float | None = None
    treated: dict[_Text, _Treated] = {}
    curve: _Curve = _Curve()
    disturbed: dict[_Name, list[float]] = {}
    layers: dict[_Text, dict[_Text, _LayerGradient]] = {}


class _RunHead(_Strict):
    id: _Name
    suite: _Name
    suite_text: _Text
    title: _Text
    definition: _Text
    origin: _Name
    created: Annotated[str, Field(pattern=r"^\d{4}-\d\d-\d\dT[\d:.]{8,20}[+\d:]{1,8}$")]
    commit: _Name
    profile: _Name
    profile_text: _Text
    machine: _Machine
    software: _Software
    settings: _Settings
    command: _Text
    finished: _Text | None


class _RecordFile(_Strict):
    cell: _Text
    pass_name: _Name = Field(alias="pass")
    round: Annotated[int, Field(ge=1, lt=1 << 31)]
    status: Literal["ok", "failed", "timeout", "oom", "skipped"]
    reason: _Text
    launch: _Text
    started: _Text
    seconds: Annotated[float, Field(ge=0)]
    metrics: dict[_Name, float]
    samples: dict[_Name, list[float]]
    unavailable: dict[_Name, _Text]
    details: _Details
    state_before: dict[_Text, Any]
    state_after: dict[_Text, Any]
    output: _Text

    def record(self, run: str) -> Record:
        """As the engine knows it; ValueError where it contradicts itself."""
        values = self.model_dump(exclude={"cell", "pass_name", "round"}, exclude_unset=True)
        return Record(run=run, key=TaskKey(self.cell, self.pass_name, self.round), **values)


class _RunFile(_Strict):
    run: _RunHead
    cells: list[_CellFile]
    records: list[_RecordFile]


Schema = TypeVar("Schema", bound=BaseModel)


def _checked(where: str, schema: type[Schema], data: bytes) -> Schema:
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
        raise BadInput(f"{where}: not JSON of a bundle: {_first_line(error)}") from None


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


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]
