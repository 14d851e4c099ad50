"""A run as a site keeps it: estimates and rounds of its cells, without samples and states.

A digest is made from the whole run. It has a hash of each record. So a site knows whether a run
that comes again has other content. The file of a digest is checked again whenever it is read.

| version | since | what changed |
| --- | --- | --- |
| 1 | 0.2.0 | run, cells, processes, estimates, rounds |
"""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property, lru_cache
from statistics import median
from sys import intern
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError
from pydantic_core import from_json

from ondevice_bench import metrics
from ondevice_bench.analyse.history import METRICS, TRAITS
from ondevice_bench.analyse.summary import CellSummary, RunSummary, summarise_content
from ondevice_bench.errors import BadInput
from ondevice_bench.record import rows
from ondevice_bench.record.model import Run, Status, TaskKey, status_of
from ondevice_bench.record.rows import RecordRows
from ondevice_bench.record.run_json import ClosedSchema, RunContent, checked_cell, first_problem
from ondevice_bench.stats import Estimate
from ondevice_bench.suite.cell import Cell
from ondevice_bench.suite.planned_cell import PlannedCell

FORMAT, VERSION = "ondevice-bench site run", 1
MAX_FILE = 16 << 20
LONGEST_CELL = 8_000  # characters of its definition
NOT_KEPT = "not measured in this run"

_Short = Annotated[str, Field(max_length=400)]
_FileName = Annotated[str, Field(pattern=r"^[^/\x00-\x1f]+$", max_length=400)]
_Hash = Annotated[str, Field(pattern=r"^[0-9a-f]{16}$")]
# no larger than the numbers of a bundle
_Whole = Annotated[int, Field(gt=-(1 << 63), lt=1 << 63)]
_Number = Annotated[float, Field(gt=-(2.0**63), lt=2.0**63)]
_Fact = _Short | _Whole | _Number | bool | None
_Task = Annotated[str, Field(pattern=r"^[^/]{1,200}/[1-9]\d{0,9}$")]


@dataclass(frozen=True)
class RunFacts:
    """What a site says of a run. `identity` is a hash of the whole definition and plan."""

    id: str
    suite: str
    title: str
    created: str
    finished: str | None
    commit: str
    profile: str
    machine: Mapping[str, Any]
    software: Mapping[str, Any]
    interleaved: bool
    identity: str


@dataclass(frozen=True, slots=True)
class Process:
    """How one process ended, when it began, and a hash of its whole record."""

    status: Status
    started: str
    content: str


@dataclass(frozen=True, slots=True)
class CellDigest:
    """A planned cell: its processes by `pass/round`, and its metrics.

    `rounds` has one reading for each process, of noisy metrics. `traits` are hashes of what may
    explain a change.
    """

    cell: Cell
    status: str
    processes: Mapping[str, Process]
    estimates: Mapping[str, Estimate]
    launches: Mapping[str, str]
    rounds: Mapping[str, tuple[float, ...]]
    traits: Mapping[str, str]


@dataclass(frozen=True)
class Digest:
    """A run and its planned cells."""

    facts: RunFacts
    cells: tuple[CellDigest, ...]

    @cached_property
    def run(self) -> Run:
        """The run, without what a site does not keep."""
        facts = self.facts
        return Run(
            id=facts.id,
            suite=facts.suite,
            suite_text="",
            title=facts.title,
            definition=facts.identity,
            origin="import",
            created=facts.created,
            commit=facts.commit,
            profile=facts.profile,
            profile_text="",
            machine=facts.machine,
            software=facts.software,
            settings={"measure": [], "rounds": {}, "interleaved": facts.interleaved},
            command="",
            finished=facts.finished,
        )

    @property
    def mark(self) -> str:
        """A hash of the definition and of how and when each process ended."""
        attempts = {
            TaskKey(each.cell.id, *_task(name)): (process.status, process.started)
            for each in self.cells
            for name, process in each.processes.items()
        }
        return mark_of(self.facts.identity, self.facts.finished, attempts)

    def summary(self) -> RunSummary:
        """The run as a comparison reads it."""
        return RunSummary(
            self.run, tuple(_summary_of(each, self.facts.profile) for each in self.cells)
        )

    def to_json(self) -> bytes:
        """The file of the digest. Equal digests have equal files."""
        values = {
            "format": FORMAT,
            "version": VERSION,
            "run": asdict(self.facts),
            "cells": [_cell_to_dict(each) for each in self.cells],
        }
        text = json.dumps(values, sort_keys=True, separators=(",", ":"), allow_nan=False)
        return text.encode() + b"\n"


def digest_of(content: RunContent) -> Digest:
    """The digest of a whole run. BadInput if its names are too long for a page."""
    records = sorted(content.records, key=lambda r: (r.key.cell, r.key.pass_name, r.key.round))
    run = content.run
    summary = summarise_content(replace(content, records=tuple(records)))
    processes: dict[str, dict[str, Process]] = {}
    for record in records:
        name = f"{record.key.pass_name}/{record.key.round}"
        content_hash = _hash(_plain_rows(RecordRows.of(record)))
        process = Process(record.status, record.started, content_hash)
        processes.setdefault(record.key.cell, {})[name] = process
    facts = RunFacts(
        id=run.id,
        suite=run.suite,
        title=_shortened(run.title),
        created=run.created,
        finished=run.finished,
        commit=run.commit,
        profile=run.profile,
        machine=run.machine,
        software=run.software,
        interleaved=summary.is_interleaved,
        identity=identity_of(run, content.cells),
    )
    cells = tuple(
        _digest_of_cell(each, processes.get(each.id, {}))
        for each in summary.cells
        if each.planned.state == "planned"
    )
    digest = Digest(facts, cells)
    return read(f"run {run.id}", digest.to_json())  # what a site writes, it can read again


def identity_of(run: Run, cells: Iterable[PlannedCell]) -> str:
    """A hash of a run's definition and plan: not of its origin, nor of its end."""
    row = rows.run_row(replace(run, origin="", finished=None))
    return _hash([row, [list(each) for each in rows.cell_rows(run.id, cells)]])


def mark_of(
    identity: str, finished: str | None, attempts: Mapping[TaskKey, tuple[str, str]]
) -> str:
    """A hash by which a run is known again without a look at its measurements."""
    ordered = sorted(
        (key.cell, key.pass_name, key.round, *attempt) for key, attempt in attempts.items()
    )
    return _hash([identity, finished, ordered])


def merged(where: str, known: Digest, other: Digest) -> Digest:
    """The digest that has more of the same run; BadInput if one contradicts the other.

    The result is the same whichever of the two is known first.
    """
    run = known.facts.id
    if known.facts.identity != other.facts.identity:
        raise BadInput(f"{where}: contradicts the site: another run has the id {run}")
    older, newer = known, other
    gains = _gains(where, known, other), _gains(where, other, known)
    if all(gains):
        raise BadInput(
            f"{where}: has records of {run} that the site lacks, and lacks some that it has: "
            "publish the store or a bundle that has all of them"
        )
    if gains[1]:
        older, newer = other, known
    finished = max(filter(None, (older.facts.finished, newer.facts.finished)), default=None)
    interleaved = older.facts.interleaved and newer.facts.interleaved
    return replace(newer, facts=replace(newer.facts, finished=finished, interleaved=interleaved))


def _gains(where: str, one: Digest, other: Digest) -> bool:
    """Whether the other one has records that replace those of this one, or that it lacks."""
    before = {each.cell.id: each.processes for each in one.cells}
    has_more = False
    for each in other.cells:
        known = before.get(each.cell.id, {})
        for name, process in each.processes.items():
            old = known.get(name)
            if old == process:
                continue
            if old is None or _replaces(process, old):
                has_more = True
            elif not _replaces(old, process):
                raise BadInput(
                    f"{where}: contradicts the site: another record of {each.cell.id} ({name}) in "
                    f"run {one.facts.id}"
                )
    return has_more


def _replaces(process: Process, old: Process) -> bool:
    """Whether this is a later attempt of a process that did not succeed."""
    if (process.status == "ok") != (old.status == "ok"):
        return process.status == "ok"
    return process.status != "ok" and process.started > old.started


def read(where: str, data: bytes) -> Digest:
    """Read and check the file of a digest; BadInput if anything in it is wrong."""
    if len(data) > MAX_FILE:
        raise BadInput(f"{where}: larger than {MAX_FILE >> 20} MiB: too large for a site")
    try:
        _File.model_validate_json(data)
        values = from_json(data)
    except ValidationError as error:
        raise BadInput(f"{where}: {first_problem(error)}") from None
    cells = tuple(_cell_of(where, each) for each in values["cells"])
    if len({each.cell.id for each in cells}) < len(cells):
        raise BadInput(f"{where}: a cell is there twice")
    return Digest(RunFacts(**values["run"]), cells)


def _digest_of_cell(summary: CellSummary, processes: Mapping[str, Process]) -> CellDigest:
    trace = summary.details_of("trace")
    names = [name for name in METRICS if name in summary.estimates]
    return CellDigest(
        cell=summary.planned.cell,
        status=summary.status,
        processes=processes,
        estimates={name: summary.estimates[name] for name in names},
        launches={
            name: summary.launches[name] if metrics.BY_NAME[name].kind == "noisy" else ""
            for name in names
        },
        rounds={
            name: tuple(median(samples) for samples in summary.samples[name] if samples)
            for name in names
            if metrics.BY_NAME[name].kind == "noisy"
        },
        traits={name: _hash(_plain(getattr(trace, name))) for name in TRAITS},
    )


def _summary_of(each: CellDigest, profile: str) -> CellSummary:
    return CellSummary(
        id=each.cell.id,
        planned=PlannedCell(each.cell, profile),
        status=each.status,
        estimates=each.estimates,
        samples={name: tuple((v,) for v in values) for name, values in each.rounds.items()},
        launches=each.launches,
        details={},
        problems=(),
        notes=(),
        unavailable={n: NOT_KEPT for n in metrics.BY_NAME if n not in each.estimates},
    )


def _cell_to_dict(each: CellDigest) -> dict[str, Any]:
    return {
        "definition": rows.json_text(each.cell.to_dict()),
        "status": each.status,
        "processes": {name: [p.status, p.started, p.content] for name, p in each.processes.items()},
        "estimates": {
            name: [*map(_float, (e.estimate, e.lower, e.upper)), e.basis, each.launches[name]]
            for name, e in each.estimates.items()
        },
        "rounds": {name: list(map(float, values)) for name, values in each.rounds.items()},
        "traits": dict(each.traits),
    }


def _cell_of(where: str, values: Mapping[str, Any]) -> CellDigest:
    try:
        cell = checked_cell(values["definition"])
        processes = {
            name: Process(status_of(status), intern(started), content)
            for name, (status, started, content) in values["processes"].items()
        }
    except ValueError as error:
        raise BadInput(f"{where}: {error}") from None
    noisy = {n for n in values["estimates"] if metrics.BY_NAME[n].kind == "noisy"}
    if noisy != set(values["rounds"]) or not all(values["rounds"].values()):
        raise BadInput(f"{where}: {cell.id}: its rounds are not those of its noisy metrics")
    if set(values["traits"]) != set(TRAITS):
        raise BadInput(f"{where}: {cell.id}: its traits are not complete")
    return CellDigest(
        cell=cell,
        status=values["status"],
        processes=processes,
        estimates={
            name: _estimate(float(each[0]), _float(each[1]), _float(each[2]), each[3])
            for name, each in values["estimates"].items()
        },
        launches={name: each[4] for name, each in values["estimates"].items()},
        rounds={name: tuple(map(float, each)) for name, each in values["rounds"].items()},
        traits=values["traits"],
    )


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


class _Cell(ClosedSchema):
    definition: Annotated[str, Field(max_length=LONGEST_CELL)]
    status: Annotated[str, Field(max_length=40)]
    processes: dict[_Task, tuple[_Short, _Short, _Hash]]
    estimates: dict[
        Literal[METRICS],  # type: ignore[valid-type]
        tuple[_Number, _Number | None, _Number | None, _Short, _Short],
    ]
    rounds: dict[_Short, list[_Number]]
    traits: dict[Literal[tuple(TRAITS)], _Hash]  # type: ignore[valid-type]


class _File(ClosedSchema):
    format: Literal["ondevice-bench site run"]
    version: Literal[1]
    run: _Run
    cells: list[_Cell]


@lru_cache(maxsize=1 << 16)  # the exact metrics of many runs are equal
def _estimate(estimate: float, lower: float | None, upper: float | None, basis: str) -> Estimate:
    return Estimate(estimate, lower, upper, basis)


def _float(value: float | None) -> float | None:
    """The value as a float: a bundle may have whole numbers where a store has others."""
    return None if value is None else float(value)


def _task(name: str) -> tuple[str, int]:
    pass_name, _, number = name.rpartition("/")
    return pass_name, int(number)


def _plain(trait: Any) -> Any:
    return {k: asdict(v) for k, v in trait.items()} if isinstance(trait, Mapping) else trait


def _plain_rows(found: RecordRows) -> Sequence[Any]:
    return [list(found.record), [list(m) for m in found.metrics], [list(s) for s in found.samples]]


def _hash(value: Any) -> str:
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), default=list)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _shortened(title: str) -> str:
    return title if len(title) <= 200 else f"{title[:199]}…"
