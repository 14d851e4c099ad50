"""The history of a metric: equal workloads on one machine, over runs, with the changes in it.

Versions of the user's code do not part a series (`suite/code.py`). If one run has two versions of a
file for the same workload, this workload has a series for each version.

An exact metric changed where two consecutive runs differ. That is certain. A noisy metric has one
reading for each run, the median of its processes. The processes of a run share the state of the
machine in that hour, so one reading for each would turn every slow hour into a change. Changes of
noisy metrics are only advice, because the machine may have changed between two runs, too.
"""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import pairwise
from typing import Any, Literal, Protocol, TypeVar

from ondevice_bench import metrics
from ondevice_bench.analyse import change_points
from ondevice_bench.analyse.change_points import ChangePoint, find_change_points
from ondevice_bench.analyse.compare import NOISY
from ondevice_bench.analyse.summary import CellEstimates, RunSummary
from ondevice_bench.record.model import Run
from ondevice_bench.stats import Estimate, fewest_rounds, more_rounds
from ondevice_bench.suite.code import CodeFile, changed, code_of, join_key

Kind = Literal["changed"] | change_points.Kind  # of an exact metric, or of a noisy one
CONFIDENCE = 0.99  # that no change of a noisy metric is a false alarm
THRESHOLD = 0.02
METRICS = tuple(m.name for m in metrics.ALL if m.kind == "exact" or m.name in NOISY)
KINDS: tuple[Kind, ...] = ("changed", "stepped", "pending", "drifts")  # the certain kind first
# fields of the details of a trace that may explain a change
TRAITS = {
    "batch_sha256": "the batch has other values",
    "weights_sha256": "the initial weights differ",
    "treated": "the changed layers or their ranks differ",
}


class Placed(Protocol):
    """What gives a run its place in a history."""

    @property
    def id(self) -> str:
        """The run's id."""

    @property
    def commit(self) -> str:
        """The commit that it measured."""

    @property
    def created(self) -> str:
        """When it began."""


PlacedT = TypeVar("PlacedT", bound=Placed)


@dataclass(frozen=True)
class HistoryQuery:
    """The settings of a history; `commits` has the place of each commit in the repository."""

    commits: Mapping[str, int] = field(default_factory=dict)
    metrics: tuple[str, ...] = ()
    threshold: float = THRESHOLD
    same_code: bool = False  # whether a version of the user's code parts a series


@dataclass(frozen=True, slots=True)
class Traits:
    """What may explain a change: of the workload, and of the details of its trace."""

    fingerprint: str  # with the allocator, if the cell names one
    workload: str  # the same without versions of the user's code
    code: tuple[CodeFile, ...]
    details: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Reading:
    """A metric of a cell in one run."""

    run: Run
    cell: str
    metric: str
    launch: str  # "" for an exact metric, which does not depend on it
    estimate: Estimate
    traits: Traits
    boards: str = ""  # the units of a fleet that measured it; "" for an exact metric, too


@dataclass(frozen=True, slots=True)
class Point:
    """A metric in one run; `place` is the run's place among all runs of the history."""

    place: int
    run: Run
    estimate: Estimate
    traits: Traits


@dataclass(frozen=True)
class HistoryChange:
    """A change of a metric from one run to another. The bounds are of the ratio.

    A `pending` change needs more runs to confirm it. A metric that `drifts` changed slowly between
    the two runs.
    """

    kind: Kind
    before: Point
    after: Point
    ratio: float | None  # None if the metric was 0 before
    lower: float | None = None
    upper: float | None = None
    needs: int = 0
    is_better: bool = False
    causes: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """The change as plain values."""
        return {
            "kind": self.kind,
            "certain": self.kind == "changed",
            "better": self.is_better,
            "after_run": self.before.run.id,
            "until_run": self.after.run.id,
            "after_commit": self.before.run.commit,
            "until_commit": self.after.run.commit,
            "ratio": self.ratio,
            "lower": self.lower,
            "upper": self.upper,
            "needs_runs": self.needs,
            "causes": list(self.causes),
        }


@dataclass(frozen=True)
class Series:
    """A metric of a workload on one machine; `why_not` says why it cannot be judged."""

    cell: str
    fingerprint: str  # of its latest run
    metric: str
    machine: str
    points: tuple[Point, ...]
    changes: tuple[HistoryChange, ...] = ()
    why_not: str = ""

    def to_dict(self) -> dict[str, Any]:
        """The series as plain values."""
        return {
            "cell": self.cell,
            "fingerprint": self.fingerprint,
            "metric": self.metric,
            "machine": self.machine,
            "points": [
                {
                    "run": p.run.id,
                    "commit": p.run.commit,
                    **p.estimate.to_dict(),
                    "code": {each.file: each.digest for each in p.traits.code},
                }
                for p in self.points
            ],
            "findings": [change.to_dict() for change in self.changes],
            "not_judged": self.why_not,
        }


@dataclass(frozen=True)
class History:
    """The runs in order, and every series with at least one point."""

    runs: tuple[Run, ...]
    series: tuple[Series, ...]
    by_commits: bool  # else ordered by time

    @property
    def is_judged(self) -> bool:
        """Whether any series can be judged."""
        return any(not one.why_not for one in self.series)

    @cached_property
    def by_workload(self) -> Mapping[tuple[str, str], Sequence[Series]]:
        """The series of each fingerprint and metric, one for each machine."""
        by_workload: dict[tuple[str, str], list[Series]] = {}
        for one in self.series:
            for fingerprint in dict.fromkeys(point.traits.fingerprint for point in one.points):
                by_workload.setdefault((fingerprint, one.metric), []).append(one)
        return by_workload

    @cached_property
    def changes(self) -> tuple[tuple[Series, HistoryChange], ...]:
        """Every change with its series: certain ones first, and regressions before improvements."""
        pairs = [(one, change) for one in self.series for change in one.changes]
        return tuple(sorted(pairs, key=lambda each: (KINDS.index(each[1].kind), each[1].is_better)))


def in_order(runs: Iterable[PlacedT], commits: Mapping[str, int]) -> list[PlacedT]:
    """Each run once, by its commit's place, then by time. Only by time if one has no place."""
    by_id = {run.id: run for run in runs}.values()
    has_places = all(run.commit in commits for run in by_id)
    return sorted(
        by_id, key=lambda run: (commits[run.commit] if has_places else 0, run.created, run.id)
    )


def readings(
    run: Run, cells: Iterable[CellEstimates], names: Sequence[str], known: dict[str, Traits]
) -> Iterator[Reading]:
    """The readings of a run, of these metrics or of all that a history shows.

    `known` has the latest traits of each workload. Equal traits are one object, because a history
    of many runs must fit into memory.
    """
    for cell in cells:
        of_cell, trace = cell.planned.cell, cell.details_of("trace")
        details = {name: getattr(trace, name) for name in TRAITS}
        traits = known.get(of_cell.key)
        if traits is None or traits.details != details:
            traits = Traits(of_cell.key, join_key(of_cell), code_of(of_cell), details)
            known[of_cell.key] = traits
        for name in names or METRICS:
            if name in cell.estimates:
                is_noisy = metrics.BY_NAME[name].kind == "noisy"
                units = sorted({unit for _, unit in cell.origins.get(name, ())})
                yield Reading(
                    run,
                    of_cell.id,
                    name,
                    cell.launches[name] if is_noisy else "",
                    cell.estimates[name],
                    traits,
                    ", ".join(units) if is_noisy else "",
                )


def history(summaries: Iterable[RunSummary], query: HistoryQuery | None = None) -> History:
    """The series of these runs, with the changes in each."""
    query = query or HistoryQuery()
    by_id = {one.run.id: one for one in summaries}.values()
    known: dict[str, Traits] = {}
    found = (each for one in by_id for each in readings(one.run, one.cells, query.metrics, known))
    return history_of([one.run for one in by_id], found, query)


def history_of(runs: Iterable[Run], found: Iterable[Reading], query: HistoryQuery) -> History:
    """The series of these runs, with the changes in each.

    The readings may have any order. Those of other runs are left out.
    """
    ordered = in_order(runs, query.commits)
    series = _collect_series(ordered, list(found), same_code=query.same_code)
    noisy = [one for one in series if metrics.BY_NAME[one.metric].kind == "noisy"]
    places = sum(len(one.points) - 1 for one in noisy)
    confidence = 1 - (1 - CONFIDENCE) / max(1, places)
    return History(
        runs=tuple(ordered),
        series=tuple(_judge(one, query.threshold, confidence) for one in series),
        by_commits=bool(ordered) and all(run.commit in query.commits for run in ordered),
    )


def _collect_series(
    ordered: Sequence[Run], found: Sequence[Reading], *, same_code: bool
) -> list[Series]:
    """One series for each workload, metric and machine.

    Noisy metrics have one for each launch, too, and for the boards of a fleet that measured them.
    """
    places = {run.id: place for place, run in enumerate(ordered)}
    identities = {run.id: _identity(run) for run in ordered}
    machines = _machine_names(ordered)
    apart = _in_two_versions(found)
    points: dict[tuple[str, str, str, str, str], list[Point]] = {}
    cells: dict[str, tuple[int, str, str]] = {}  # the latest id and fingerprint of each workload
    for each in found:
        if each.run.id not in places:
            continue
        place, traits = places[each.run.id], each.traits
        by_version = same_code or traits.workload in apart
        workload = traits.fingerprint if by_version else traits.workload
        key = (workload, each.metric, identities[each.run.id], each.boards, each.launch)
        point = Point(place, ordered[place], each.estimate, traits)
        points.setdefault(key, []).append(point)
        latest = cells.get(workload, (-1, "", ""))
        cells[workload] = max(latest, (place, each.cell, traits.fingerprint))
    for of_key in points.values():
        of_key.sort(key=lambda point: point.place)
    launch_counts = Counter(key[:4] for key in points)
    return [
        Series(
            cell=cells[key[0]][1],
            fingerprint=cells[key[0]][2],
            metric=key[1],
            machine=", ".join(
                [
                    machines[key[2]],
                    *([f"boards {key[3]}"] if key[3] else []),
                    *([key[4]] if launch_counts[key[:4]] > 1 else []),
                ]
            ),
            points=tuple(of_key),
        )
        for key, of_key in sorted(points.items(), key=lambda item: item[1][0].place)
    ]


def _in_two_versions(found: Iterable[Reading]) -> set[str]:
    """The workloads that a run has with two versions of the user's code."""
    versions: dict[tuple[str, str], str] = {}
    return {
        each.traits.workload
        for each in found
        if versions.setdefault((each.run.id, each.traits.workload), each.traits.fingerprint)
        != each.traits.fingerprint
    }


def _identity(run: Run) -> str:
    return json.dumps(run.machine, sort_keys=True)


def _machine_names(runs: Sequence[Run]) -> dict[str, str]:
    """A name for each machine: the profile of its latest run, and what differs between machines."""
    run_by_machine = {_identity(run): run for run in runs}
    names = sorted({name for run in run_by_machine.values() for name in run.machine})
    distinct = [
        n for n in names if len({str(run.machine.get(n)) for run in run_by_machine.values()}) > 1
    ]
    return {
        identity: ", ".join(
            [run.profile, *(f"{n} {run.machine[n]}" for n in distinct if n in run.machine)]
        )
        for identity, run in run_by_machine.items()
    }


def _judge(series: Series, threshold: float, confidence: float) -> Series:
    points = series.points
    if len(points) < 2:
        return replace(series, why_not="one run: a history needs two")
    metric = metrics.BY_NAME[series.metric]
    if metric.kind == "exact":
        pairs = [(a, b) for a, b in pairwise(points) if a.estimate.estimate != b.estimate.estimate]
        return replace(series, changes=tuple(_exact_change(series.metric, *pair) for pair in pairs))
    readings = [metric.for_ratio(point.estimate.estimate) for point in points]
    if min(readings) <= 0:
        return replace(series, why_not="a reading is not positive, so there is no ratio")
    half = len(points) // 2
    fewest = fewest_rounds(confidence)
    return replace(
        series,
        changes=tuple(
            _noisy_change(series, change_point)
            for change_point in find_change_points(readings, threshold, confidence)
        ),
        why_not=f"{len(points)} runs: a change needs {fewest} runs before it and {fewest} after it"
        if more_rounds(half, len(points) - half, confidence)
        else "",
    )


def _exact_change(metric: str, before: Point, after: Point) -> HistoryChange:
    one, other = before.estimate.estimate, after.estimate.estimate
    disagreements = tuple(
        f"processes of {point.run.id} disagree: {point.estimate.basis}"
        for point in (before, after)
        if point.estimate.lower != point.estimate.upper
    )
    return HistoryChange(
        "changed",
        before,
        after,
        other / one if one else None,
        is_better=metrics.BY_NAME[metric].is_better(one, other),
        causes=(*disagreements, *_causes(before, after)),
    )


def _noisy_change(series: Series, change_point: ChangePoint) -> HistoryChange:
    is_drift = change_point.kind == "drifts"
    before = series.points[change_point.place if is_drift else change_point.place - 1]
    after = series.points[change_point.end if is_drift else change_point.place]
    return HistoryChange(
        change_point.kind,
        before,
        after,
        change_point.ratio,
        change_point.lower,
        change_point.upper,
        change_point.needs,
        is_better=metrics.BY_NAME[series.metric].is_better(1.0, change_point.ratio),
        causes=_causes(before, after),
    )


def software_changes(before: Run, after: Run) -> list[str]:
    """Software that differs between two runs."""
    return [
        f"{name} {before.software.get(name)} → {after.software.get(name)}"
        for name in sorted({*before.software, *after.software})
        if before.software.get(name) != after.software.get(name)
    ]


def _causes(before: Point, after: Point) -> tuple[str, ...]:
    """Differences between the records of both runs. They are the first causes to check."""
    old, new = before.run, after.run
    causes = software_changes(old, new)
    one, other = before.traits, after.traits
    causes += [cause for name, cause in TRAITS.items() if one.details[name] != other.details[name]]
    causes += map(str, changed(one.code, other.code))
    if old.commit != new.commit:
        causes.append(f"code {old.commit} → {new.commit}")
    return tuple(causes) or ("no cause in the records: they have the same commit and software",)
