"""The file of a digest. It is checked each time it is read.

Metrics that only a later version of bench knows are ignored.

| version | since | what changed |
| --- | --- | --- |
| 1 | 0.2.0 | run, cells, processes, estimates, rounds, traits |
| 2 | 0.3.0 | settings of the run |
| 3 | 0.3.0 | which rounds others disturbed |
"""

import json
from collections.abc import Mapping
from dataclasses import asdict
from functools import lru_cache
from sys import intern
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, ValidationError
from pydantic_core import from_json

from ondevice_bench import metrics
from ondevice_bench.analyse.history import METRICS
from ondevice_bench.analyse.series import TRAITS
from ondevice_bench.errors import BadInput
from ondevice_bench.record import rows
from ondevice_bench.record.model import status_of
from ondevice_bench.record.run_json import ClosedSchema, checked_cell, first_problem
from ondevice_bench.site.digest import CellDigest, Digest, Process, RunFacts
from ondevice_bench.stats import Estimate

FORMAT, VERSION = "ondevice-bench site run", 3
MAX_FILE = 16 << 20
LONGEST_CELL = 8_000  # characters of its definition

_Short = Annotated[str, Field(max_length=400)]
_FileName = Annotated[str, Field(pattern=r"^[^/\x00-\x1f]+$", max_length=400)]
_Hash = Annotated[str, Field(pattern=r"^[0-9a-f]{16}$")]
# no larger than the numbers of a bundle
_Whole = Annotated[int, Field(gt=-(1 << 63), lt=1 << 63)]
_Number = Annotated[float, Field(gt=-(2.0**63), lt=2.0**63)]
_Fact = _Short | _Whole | _Number | bool | None
_Task = Annotated[str, Field(pattern=r"^[^/]{1,200}/[1-9]\d{0,9}$")]


def text_of(digest: Digest) -> bytes:
    """The file of a digest. Equal digests have equal files."""
    values = {
        "format": FORMAT,
        "version": VERSION,
        "run": asdict(digest.facts),
        "cells": [_cell_to_dict(each) for each in digest.cells],
    }
    text = json.dumps(values, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return text.encode() + b"\n"


def read(where: str, data: bytes) -> Digest:
    """Read and check the file of a digest; BadInput if anything in it is wrong."""
    if len(data) > MAX_FILE:
        raise BadInput(f"{where}: larger than {MAX_FILE >> 20} MiB: too large for a site")
    try:
        _File.model_validate_json(data)
    except ValidationError as error:
        _require_known(where, _version_of(data))
        raise BadInput(f"{where}: {first_problem(error)}") from None
    values = from_json(data)
    _require_known(where, values["version"])
    cells = tuple(_cell_of(where, each) for each in values["cells"])
    if len({each.cell.id for each in cells}) < len(cells):
        raise BadInput(f"{where}: a cell is there twice")
    facts = {**values["run"], "plan": tuple(values["run"].get("plan", ()))}
    return Digest(RunFacts(**facts), cells)


def _version_of(data: bytes) -> int:
    """The version of a file that may have fields of a later one; 0 if it has none."""
    try:
        return _Version.model_validate_json(data).version
    except ValidationError:
        return 0


def _require_known(where: str, version: int) -> None:
    """BadInput for a file of a later version."""
    if version > VERSION:
        raise BadInput(
            f"{where}: written by a newer bench (version {version}, this one knows up to "
            f"{VERSION}): upgrade ondevice-bench"
        )


def _cell_to_dict(each: CellDigest) -> dict[str, Any]:
    return {
        "definition": rows.json_text(each.cell.to_dict()),
        "status": each.status,
        "processes": {
            name: [p.status, p.started, p.content, *filter(None, [p.unit])]
            for name, p in each.processes.items()
        },
        "estimates": {
            name: [*map(_float, (e.estimate, e.lower, e.upper)), e.basis, each.launches[name]]
            for name, e in each.estimates.items()
        },
        "rounds": {name: list(map(float, values)) for name, values in each.rounds.items()},
        "traits": dict(each.traits),
        **({"units": _as_lists(each.units)} if each.units else {}),
        **({"meters": dict(each.meters)} if each.meters else {}),
        **({"disturbances": _as_lists(each.disturbances)} if each.disturbances else {}),
    }


def _as_lists(by_metric: Mapping[str, tuple[Any, ...]]) -> dict[str, list[Any]]:
    return {name: list(values) for name, values in by_metric.items()}


def _cell_of(where: str, values: Mapping[str, Any]) -> CellDigest:
    try:
        cell = checked_cell(values["definition"])
        processes = {
            name: Process(status_of(status), intern(started), content, *map(intern, unit))
            for name, (status, started, content, *unit) in values["processes"].items()
        }
    except ValueError as error:
        raise BadInput(f"{where}: {error}") from None
    found = {name: values["estimates"][name] for name in METRICS if name in values["estimates"]}
    noisy = [name for name in found if metrics.BY_NAME[name].kind == "noisy"]
    rounds = {name: tuple(map(float, values["rounds"].get(name, ()))) for name in noisy}
    if not all(rounds.values()):
        raise BadInput(f"{where}: {cell.id}: the rounds of a noisy metric are missing")
    units, disturbances = (
        {name: tuple(each) for name, each in values.get(key, {}).items()}
        for key in ("units", "disturbances")
    )
    for key, found_of in (("units", units), ("disturbances", disturbances)):
        if any(len(each) != len(rounds.get(name, ())) for name, each in found_of.items()):
            raise BadInput(f"{where}: {cell.id}: the {key} of a metric are not those of its rounds")
    return CellDigest(
        cell=cell,
        status=values["status"],
        processes=processes,
        estimates={
            name: _estimate(float(each[0]), _float(each[1]), _float(each[2]), each[3])
            for name, each in found.items()
        },
        launches={name: each[4] for name, each in found.items()},
        rounds=rounds,
        traits={name: values["traits"].get(name, "") for name in TRAITS},
        units=units,
        meters=values.get("meters", {}),
        disturbances=disturbances,
    )


class _Settings(ClosedSchema):
    cpus: Annotated[list[_Whole], Field(max_length=4096)] | None = None
    memory_cap_bytes: _Whole | None = None
    power: _Short | None = None


class _Run(ClosedSchema):
    id: _FileName
    suite: _FileName
    title: _Short
    created: Annotated[str, Field(pattern=r"^\d{4}-\d\d-\d\dT[\d:.]{8,20}[+\d:]{1,8}$")]
    finished: _Short | None
    commit: _Short
    profile: _FileName
    machine: Annotated[dict[_Short, _Fact], Field(max_length=64)]
    software: Annotated[dict[_Short, _Fact], Field(max_length=64)]
    interleaved: bool
    identity: _Hash
    begun: _Hash | Literal[""] = ""
    plan: list[_Hash] = Field(default_factory=list)
    settings: _Settings = Field(default_factory=_Settings)


class _Cell(ClosedSchema):
    definition: Annotated[str, Field(max_length=LONGEST_CELL)]
    status: Annotated[str, Field(max_length=40)]
    processes: dict[_Task, tuple[_Short, _Short, _Hash] | tuple[_Short, _Short, _Hash, _Short]]
    estimates: dict[_Short, tuple[_Number, _Number | None, _Number | None, _Short, _Short]]
    rounds: dict[_Short, list[_Number]]
    traits: dict[_Short, _Hash]
    units: dict[_Short, list[_Short]] = Field(default_factory=dict)
    meters: dict[_Short, _Short] = Field(default_factory=dict)
    disturbances: dict[_Short, list[bool]] = Field(default_factory=dict)


class _Version(ClosedSchema):
    model_config = ConfigDict(extra="ignore")

    format: Literal["ondevice-bench site run"]
    version: int


class _File(ClosedSchema):
    format: Literal["ondevice-bench site run"]
    version: Annotated[int, Field(ge=1)]
    run: _Run
    cells: list[_Cell]


@lru_cache(maxsize=1 << 16)  # the exact metrics of many runs are equal
def _estimate(estimate: float, lower: float | None, upper: float | None, basis: str) -> Estimate:
    return Estimate(estimate, lower, upper, basis)


def _float(value: float | None) -> float | None:
    """The value as a float: a bundle may have a whole number if a store has 1.0."""
    return None if value is None else float(value)
