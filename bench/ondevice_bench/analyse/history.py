"""The history of a metric: equal workloads on one machine, over runs, with the changes in it.

Versions of the user's code do not part a series (`suite/code.py`). If one run has two versions of a
file for the same workload, this workload has a series for each version.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from statistics import median
from typing import Protocol, TypeVar

from ondevice_bench import metrics
from ondevice_bench.analyse.compare import NOISY
from ondevice_bench.analyse.series import KINDS, TRAITS, HistoryChange, Point, Series, Traits
from ondevice_bench.analyse.series_changes import judged
from ondevice_bench.analyse.summarise import estimate_of
from ondevice_bench.analyse.summary import CellEstimates, RunSummary
from ondevice_bench.record.model import Run
from ondevice_bench.stats import Estimate
from ondevice_bench.suite.code import code_of, join_key
from ondevice_bench.units import by_time

CONFIDENCE = 0.99  # that no change of a noisy metric is a false alarm
THRESHOLD = 0.02
METRICS = tuple(m.name for m in metrics.ALL if m.kind == "exact" or m.name in NOISY)


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
class Reading:
    """A metric of a cell in one run."""

    run: Run
    cell: str
    metric: str
    launch: str  # "" for an exact metric, which does not depend on it
    estimate: Estimate
    traits: Traits
    boards: str = ""  # the units of a fleet that measured it; "" for an exact metric, too
    meter: str = ""  # what the meter of an energy counts


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
    places = commits if has_places else dict.fromkeys((run.commit for run in by_id), 0)
    return sorted(by_id, key=lambda run: (places[run.commit], by_time(run.created), run.id))


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
            whole = cell.estimates.get(name)
            estimate = whole and undisturbed_estimate(
                name, whole, cell.samples.get(name, ()), cell.disturbances.get(name, ())
            )
            if estimate is not None:
                is_noisy = metrics.BY_NAME[name].kind == "noisy"
                units = sorted({unit for _, unit in cell.origins.get(name, ())})
                yield Reading(
                    run,
                    of_cell.id,
                    name,
                    cell.launches[name] if is_noisy else "",
                    estimate,
                    traits,
                    ", ".join(units) if is_noisy else "",
                    cell.meters.get(name, ""),
                )


def undisturbed_estimate(
    metric: str,
    estimate: Estimate,
    rounds: Sequence[Sequence[float]],
    disturbed: Sequence[bool],
) -> Estimate | None:
    """The estimate without the processes that others disturbed; None if there are no others.

    What slowed them is not the code, so they must not look like a change. `disturbed` is empty if
    there are none.
    """
    if not any(disturbed) or metrics.BY_NAME[metric].kind == "exact":
        return estimate
    # by the median of each process, because a site has no samples
    quiet = [
        (median(each),)
        for each, is_lost in zip(rounds, disturbed, strict=True)
        if each and not is_lost
    ]
    return estimate_of(metric, quiet) if quiet else None


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
        series=tuple(judged(one, query.threshold, confidence) for one in series),
        by_commits=bool(ordered) and all(run.commit in query.commits for run in ordered),
    )


def _collect_series(
    ordered: Sequence[Run], found: Sequence[Reading], *, same_code: bool
) -> list[Series]:
    """One series for each workload, metric and machine.

    Noisy metrics have one for each launch, too, and for the boards of a fleet that measured them.
    Energies have one for each meter if there are several.
    """
    places = {run.id: place for place, run in enumerate(ordered)}
    identities = {run.id: _identity(run) for run in ordered}
    machines = _machine_names(ordered)
    apart = _in_two_versions(found)
    meters = _known_meters(found, identities)
    points: dict[tuple[str, str, str, str, str, str], list[Point]] = {}
    cells: dict[str, tuple[int, str, str]] = {}  # the latest id and fingerprint of each workload
    for each in found:
        if each.run.id not in places:
            continue
        place, traits = places[each.run.id], each.traits
        by_version = same_code or traits.workload in apart
        workload = traits.fingerprint if by_version else traits.workload
        machine = identities[each.run.id]
        meter = each.meter if len(meters[each.metric, machine]) > 1 else ""
        key = (workload, each.metric, machine, each.boards, meter, each.launch)
        point = Point(place, ordered[place], each.estimate, traits)
        points.setdefault(key, []).append(point)
        latest = cells.get(workload, (-1, "", ""))
        cells[workload] = max(latest, (place, each.cell, traits.fingerprint))
    for of_key in points.values():
        of_key.sort(key=lambda point: point.place)
    launch_counts = Counter(key[:5] for key in points)
    return [
        Series(
            cell=cells[key[0]][1],
            fingerprint=cells[key[0]][2],
            metric=key[1],
            machine=", ".join(
                [
                    machines[key[2]],
                    *([f"boards {key[3]}"] if key[3] else []),
                    *([f"energy of {key[4]}"] if key[4] else []),
                    *([key[5]] if launch_counts[key[:5]] > 1 else []),
                ]
            ),
            points=tuple(of_key),
        )
        for key, of_key in sorted(points.items(), key=lambda item: item[1][0].place)
    ]


def _known_meters(
    found: Iterable[Reading], identities: Mapping[str, str]
) -> Mapping[tuple[str, str], set[str]]:
    """The meters of a metric on a machine, by both. Earlier runs may not know theirs."""
    meters: dict[tuple[str, str], set[str]] = defaultdict(set)
    for each in found:
        if each.meter and each.run.id in identities:
            meters[each.metric, identities[each.run.id]].add(each.meter)
    return meters


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
