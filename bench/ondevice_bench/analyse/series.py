"""A series: the readings of one metric over runs, and the changes in it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from ondevice_bench.analyse import change_points
from ondevice_bench.record.model import Run
from ondevice_bench.stats import Estimate
from ondevice_bench.suite.code import CodeFile

Kind = Literal["changed"] | change_points.Kind  # of an exact metric, or of a noisy one
KINDS: tuple[Kind, ...] = ("changed", "stepped", "pending", "drifts")  # the certain kind first
# fields of the details of a trace that may explain a change
TRAITS = {
    "batch_sha256": "the batch has other values",
    "weights_sha256": "the initial weights differ",
    "treated": "the changed layers or their ranks differ",
}


@dataclass(frozen=True, slots=True)
class Traits:
    """What may explain a change: of the workload, and of the details of its trace."""

    fingerprint: str  # with the allocator, if the cell names one
    workload: str  # the same without versions of the user's code
    code: tuple[CodeFile, ...]
    details: Mapping[str, Any]


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
