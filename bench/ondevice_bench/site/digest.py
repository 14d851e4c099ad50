"""A run as a site stores it: estimates and rounds of its cells, without samples and states.

A digest has a hash of each record. If a run is published again, the site sees whether its content
has changed.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from ondevice_bench import metrics
from ondevice_bench.analyse.alternation import Origin
from ondevice_bench.analyse.failed_rounds import Rounds
from ondevice_bench.analyse.summarise import whole_run
from ondevice_bench.analyse.summary import CellSummary, RunSummary
from ondevice_bench.errors import BadInput
from ondevice_bench.passes import OF_BOARD
from ondevice_bench.record.merging import replaces
from ondevice_bench.record.model import NOT_OK, Run, Status, TaskKey
from ondevice_bench.record.origin import IMPORTED
from ondevice_bench.stats import Estimate
from ondevice_bench.suite.cell import Cell
from ondevice_bench.suite.planned_cell import PlannedCell

NOT_KEPT = "not measured in this run"


@dataclass(frozen=True)
class RunFacts:
    """The facts about a run in a site. `identity` is a hash of the whole definition and plan.

    `begun` is a hash of what never changes, and `plan` has a hash of each cell, because the plan of
    a search may grow. `settings` are those that a change may come from. All three are empty in a
    site of an earlier version.
    """

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
    begun: str = ""
    plan: tuple[str, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)

    def is_same_run(self, other: "RunFacts") -> bool:
        """Whether both are the same run, perhaps before and after its plan has grown."""
        if self.identity == other.identity:
            return True
        shorter, longer = sorted((self.plan, other.plan), key=len)
        has_grown = 0 < len(shorter) < len(longer) and longer[: len(shorter)] == shorter
        return has_grown and self.begun == other.begun


@dataclass(frozen=True, slots=True)
class Process:
    """How one process ended, when it began, and a hash of its whole record.

    `unit` is the board that measured it, in a run of a fleet.
    """

    status: Status
    started: str
    content: str
    unit: str = ""


@dataclass(frozen=True, slots=True)
class CellDigest:
    """A planned cell: its processes by `pass/round`, and its metrics.

    `rounds` has the reading of each process, for noisy metrics only. `traits` are hashes of what
    may explain a change.
    """

    cell: Cell
    status: str
    processes: Mapping[str, Process]
    estimates: Mapping[str, Estimate]
    launches: Mapping[str, str]
    rounds: Mapping[str, tuple[float, ...]]
    traits: Mapping[str, str]
    # by noisy metric: the unit of each of its rounds; empty for a run on one board
    units: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    # by metric of energy: what its meter counts
    meters: Mapping[str, str] = field(default_factory=dict)
    # by noisy metric: whether others disturbed each of its rounds; empty if they disturbed none
    disturbances: Mapping[str, tuple[bool, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class Digest:
    """A run and its planned cells."""

    facts: RunFacts
    cells: tuple[CellDigest, ...]

    @cached_property
    def run(self) -> Run:
        """The run, with only what a site stores."""
        facts = self.facts
        return Run(
            id=facts.id,
            suite=facts.suite,
            suite_text="",
            title=facts.title,
            definition=facts.identity,
            origin=IMPORTED,
            created=facts.created,
            commit=facts.commit,
            profile=facts.profile,
            profile_text="",
            machine=facts.machine,
            software=facts.software,
            settings={
                "measure": [],
                "rounds": {},
                "interleaved": facts.interleaved,
                **facts.settings,
            },
            command="",
            finished=facts.finished,
        )

    @property
    def mark(self) -> str:
        """A hash of the definition, and of the end and the time of each process."""
        attempts = {
            TaskKey(each.cell.id, *_task(name)): (process.status, process.started)
            for each in self.cells
            for name, process in each.processes.items()
        }
        return mark_of(self.facts.identity, self.facts.finished, attempts)

    def summary(self) -> RunSummary:
        """The run in the form that a comparison reads."""
        return whole_run(self.run, (_summary_of(each, self.facts.profile) for each in self.cells))


def mark_of(
    identity: str, finished: str | None, attempts: Mapping[TaskKey, tuple[str, str]]
) -> str:
    """A hash that recognises a run without its measurements."""
    ordered = sorted(
        (key.cell, key.pass_name, key.round, *attempt) for key, attempt in attempts.items()
    )
    return hash_of([identity, finished, ordered])


def merged(where: str, known: Digest, other: Digest) -> Digest:
    """The digest with more records of the same run; BadInput if the two contradict each other.

    The result does not depend on the order of the two.
    """
    run = known.facts.id
    if not known.facts.is_same_run(other.facts):
        raise BadInput(f"{where}: contradicts the site: another run has the id {run}")
    older, newer = known, other
    has_grown = known.facts.identity != other.facts.identity
    plans = len(known.facts.plan), len(other.facts.plan)
    gains = (
        _gains(where, known, other) or (has_grown and plans[1] > plans[0]),
        _gains(where, other, known) or (has_grown and plans[0] > plans[1]),
    )
    if all(gains):
        raise BadInput(
            f"{where}: has records of {run} that the site lacks, and lacks some that it has: "
            "publish the store or a bundle that has all of them"
        )
    if gains[1]:
        older, newer = other, known
    ends = [newer.facts.finished] if has_grown else [older.facts.finished, newer.facts.finished]
    finished = max(filter(None, ends), default=None)
    interleaved = older.facts.interleaved and newer.facts.interleaved
    facts = replace(
        newer.facts,
        finished=finished,
        interleaved=interleaved,
        settings={**older.facts.settings, **newer.facts.settings},
    )
    return replace(newer, facts=facts)


def _gains(where: str, one: Digest, other: Digest) -> bool:
    """Whether `other` has records that `one` lacks, or later attempts of its records."""
    before = {each.cell.id: each.processes for each in one.cells}
    has_more = False
    for each in other.cells:
        known = before.get(each.cell.id, {})
        for name, process in each.processes.items():
            old = known.get(name)
            if old is not None and old.content == process.content:
                continue
            if old is None or replaces(process, old):
                has_more = True
            elif not replaces(old, process):
                raise BadInput(
                    f"{where}: contradicts the site: another record of {each.cell.id} ({name}) in "
                    f"run {one.facts.id}"
                )
    return has_more


def hash_of(value: Any) -> str:
    """A short hash of plain values."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), default=list)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _summary_of(each: CellDigest, profile: str) -> CellSummary:
    return CellSummary(
        id=each.cell.id,
        planned=PlannedCell(each.cell, profile),
        status=each.status,
        estimates=each.estimates,
        samples={name: tuple((v,) for v in values) for name, values in each.rounds.items()},
        launches=each.launches,
        origins={name: tuple(enumerate(units, 1)) for name, units in each.units.items()},
        meters=each.meters,
        disturbances=each.disturbances,
        details={},
        problems=(),
        notes=(),
        unavailable={n: NOT_KEPT for n in metrics.BY_NAME if n not in each.estimates},
        rounds=_rounds_of(each.processes),
        begun=_begun(each.processes),
    )


def _rounds_of(processes: Mapping[str, Process]) -> dict[str, Rounds]:
    """How many rounds of each pass over the cell failed. A site does not store the reasons."""
    found: dict[str, list[Status]] = {}
    for name, process in processes.items():
        pass_name, _ = _task(name)
        if process.status != "skipped" and pass_name not in OF_BOARD:
            found.setdefault(pass_name, []).append(process.status)
    return {
        name: Rounds(sum(each in NOT_OK for each in statuses), len(statuses))
        for name, statuses in found.items()
    }


def _begun(processes: Mapping[str, Process]) -> dict[str, dict[Origin, str]]:
    """When each process that succeeded began, by pass."""
    found: dict[str, dict[Origin, str]] = {}
    for (pass_name, number), process in sorted(
        ((_task(name), process) for name, process in processes.items()), key=lambda each: each[0]
    ):
        if process.status == "ok":
            found.setdefault(pass_name, {})[number, process.unit] = process.started
    return found


def _task(name: str) -> tuple[str, int]:
    pass_name, _, number = name.rpartition("/")
    return pass_name, int(number)
