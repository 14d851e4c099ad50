"""Figures of equal workloads on one machine, over runs: where they changed, and how sure that is.

An exact metric changed wherever two runs after each other differ: that is certain. Of a noisy one
each run gives one reading, the median of its processes: they share the machine's state of that
hour, so that counting each of them would claim every such hour as a change. What is claimed of
noisy metrics is advisory: between two runs the machine may have changed with the code.
"""

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import pairwise
from typing import Any, Literal

from ondevice_bench import metrics
from ondevice_bench.analyse import change_points
from ondevice_bench.analyse.change_points import ChangePoint, find_change_points
from ondevice_bench.analyse.compare import NOISY
from ondevice_bench.analyse.summary import CellSummary, RunSummary
from ondevice_bench.record.model import Run
from ondevice_bench.stats import Estimate, fewest_rounds, more_rounds

Kind = Literal["changed"] | change_points.Kind  # of an exact metric, or of a noisy one
CONFIDENCE = 0.99  # that none of all the steps that are claimed is false
THRESHOLD = 0.02
METRICS = tuple(m.name for m in metrics.ALL if m.kind == "exact" or m.name in NOISY)
KINDS: tuple[Kind, ...] = ("changed", "stepped", "pending", "drifts")  # the certain first
# what a run knows of how its figures came to be, beside the workload
TRAITS = {
    "batch_sha256": "the batch holds other values",
    "weights_sha256": "the initial weights are others",
    "treated": "treated layers or their ranks are others",
}


@dataclass(frozen=True)
class HistoryQuery:
    """What a history is to say; `commits` are places in the repository, where they are known."""

    commits: Mapping[str, int] = field(default_factory=dict)
    metrics: tuple[str, ...] = ()
    threshold: float = THRESHOLD


@dataclass(frozen=True)
class Point:
    """A metric as one run has it; `place` is the run's among all runs of the history."""

    place: int
    run: Run
    estimate: Estimate
    traits: Mapping[str, Any]


@dataclass(frozen=True)
class HistoryChange:
    """A metric that is not what it was, from one run to another; bounds are of the ratio.

    `pending` needs more runs like the last ones; `drifts` has no place between the two.
    """

    kind: Kind
    before: Point
    after: Point
    ratio: float | None  # None where there is none: from or to nothing
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
    """A metric of a workload on one machine; `why_not` says why nothing can be said of it."""

    cell: str
    fingerprint: str
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
                {"run": p.run.id, "commit": p.run.commit, **p.estimate.to_dict()}
                for p in self.points
            ],
            "findings": [found.to_dict() for found in self.changes],
            "not_judged": self.why_not,
        }


@dataclass(frozen=True)
class History:
    """The runs in their order, and every series of at least one of them."""

    runs: tuple[Run, ...]
    series: tuple[Series, ...]
    by_commits: bool  # else by time alone

    @property
    def is_judged(self) -> bool:
        """Whether anything can be said at all."""
        return any(not one.why_not for one in self.series)

    @cached_property
    def by_workload(self) -> Mapping[tuple[str, str], Sequence[Series]]:
        """The series of a fingerprint and a metric, one a machine."""
        found: dict[tuple[str, str], list[Series]] = {}
        for one in self.series:
            found.setdefault((one.fingerprint, one.metric), []).append(one)
        return found

    @cached_property
    def changes(self) -> tuple[tuple[Series, HistoryChange], ...]:
        """Every change with its series: what is certain first, and of that what is worse."""
        found = [(one, change) for one in self.series for change in one.changes]
        return tuple(sorted(found, key=lambda each: (KINDS.index(each[1].kind), each[1].is_better)))


def in_order(summaries: Iterable[RunSummary], commits: Mapping[str, int]) -> list[RunSummary]:
    """Each run once, by its commit's place, then by time; by time alone where one has no place."""
    each = {one.run.id: one for one in summaries}.values()
    known = all(one.run.commit in commits for one in each)
    return sorted(
        each,
        key=lambda one: (commits[one.run.commit] if known else 0, one.run.created, one.run.id),
    )


def history(summaries: Iterable[RunSummary], asked: HistoryQuery | None = None) -> History:
    """The series of these runs, and what they bear."""
    asked = asked or HistoryQuery()
    ordered = in_order(summaries, asked.commits)
    gathered = _gathered(ordered, asked.metrics or METRICS)
    noisy = [one for one in gathered if metrics.BY_NAME[one.metric].kind == "noisy"]
    places = sum(len(one.points) - 1 for one in noisy)
    confidence = 1 - (1 - CONFIDENCE) / max(1, places)
    return History(
        runs=tuple(one.run for one in ordered),
        series=tuple(_judged(one, asked.threshold, confidence) for one in gathered),
        by_commits=bool(ordered) and all(one.run.commit in asked.commits for one in ordered),
    )


def _gathered(ordered: Sequence[RunSummary], names: Sequence[str]) -> list[Series]:
    """Points by workload, metric, machine and, of noisy metrics, how processes were started."""
    machines = _machine_names([one.run for one in ordered])
    found: dict[tuple[str, ...], list[tuple[CellSummary, Point]]] = {}
    for place, summary in enumerate(ordered):
        for cell in summary.cells:
            trace = cell.details_of("trace")
            traits = {name: getattr(trace, name) for name in TRAITS}
            for name in names:
                if name not in cell.estimates:
                    continue
                launch = cell.launches[name] if metrics.BY_NAME[name].kind == "noisy" else ""
                key = (cell.planned.cell.fingerprint, name, _identity(summary.run), launch)
                point = Point(place, summary.run, cell.estimates[name], traits)
                found.setdefault(key, []).append((cell, point))
    started = Counter(key[:3] for key in found)
    return [
        Series(
            cell=of[-1][0].planned.cell.id,
            fingerprint=key[0],
            metric=key[1],
            machine=f"{machines[key[2]]}, {key[3]}" if started[key[:3]] > 1 else machines[key[2]],
            points=tuple(point for _, point in of),
        )
        for key, of in found.items()
    ]


def _identity(run: Run) -> str:
    return json.dumps(run.machine, sort_keys=True)


def _machine_names(runs: Sequence[Run]) -> dict[str, str]:
    """Each machine by the profile of its latest run and by what it alone has."""
    unlike = {_identity(run): run for run in runs}
    names = sorted({name for run in unlike.values() for name in run.machine})
    told = [n for n in names if len({str(run.machine.get(n)) for run in unlike.values()}) > 1]
    return {
        identity: ", ".join([run.profile, *(f"{name} {run.machine.get(name)}" for name in told)])
        for identity, run in unlike.items()
    }


def _judged(series: Series, threshold: float, confidence: float) -> Series:
    points = series.points
    if len(points) < 2:
        return replace(series, why_not="one run: a history needs two")
    if metrics.BY_NAME[series.metric].kind == "exact":
        pairs = [(a, b) for a, b in pairwise(points) if a.estimate.estimate != b.estimate.estimate]
        return replace(series, changes=tuple(_changed(series.metric, *pair) for pair in pairs))
    readings = [point.estimate.estimate for point in points]
    if min(readings) <= 0:
        return replace(series, why_not="a reading is not positive, so there is no ratio")
    half = len(points) // 2
    fewest = fewest_rounds(confidence)
    return replace(
        series,
        changes=tuple(
            _stepped(series, step) for step in find_change_points(readings, threshold, confidence)
        ),
        why_not=f"{len(points)} runs: {fewest} before a step and as many after it can decide"
        if more_rounds(half, len(points) - half, confidence)
        else "",
    )


def _changed(metric: str, before: Point, after: Point) -> HistoryChange:
    one, other = before.estimate.estimate, after.estimate.estimate
    unsure = tuple(
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
        causes=(*unsure, *_causes(before, after)),
    )


def _stepped(series: Series, step: ChangePoint) -> HistoryChange:
    is_drift = step.kind == "drifts"
    before = series.points[step.place if is_drift else step.place - 1]
    after = series.points[step.end if is_drift else step.place]
    return HistoryChange(
        step.kind,
        before,
        after,
        step.ratio,
        step.lower,
        step.upper,
        step.needs,
        is_better=metrics.BY_NAME[series.metric].is_better(1.0, step.ratio),
        causes=_causes(before, after),
    )


def unlike_software(before: Run, after: Run) -> list[str]:
    """What a run computed with that another did not."""
    return [
        f"{name} {before.software.get(name)} → {after.software.get(name)}"
        for name in sorted({*before.software, *after.software})
        if before.software.get(name) != after.software.get(name)
    ]


def _causes(before: Point, after: Point) -> tuple[str, ...]:
    """What the records of both runs say that differs: where to look first."""
    old, new = before.run, after.run
    found = unlike_software(old, new)
    found += [said for name, said in TRAITS.items() if before.traits[name] != after.traits[name]]
    if old.commit != new.commit:
        found.append(f"code {old.commit} → {new.commit}")
    return tuple(found) or ("none that the records tell: the commit is the same",)
