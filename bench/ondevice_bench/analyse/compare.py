"""Two runs side by side, cell by cell, on equal fingerprints.

Exact metrics are compared by equality. Noisy ones by rounds, each a fresh process, because
processes differ more than the samples of one: a difference is claimed where the whole interval of
the ratio lies beyond the metric's threshold, at a confidence that the number of comparisons
tightens (Bonferroni); on another machine they are not compared at all. Where a run was not
interleaved, its rounds do not show the machine's drift: the threshold is twice as high then.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from statistics import median
from typing import Any

from ondevice_bench import metrics
from ondevice_bench.analyse.judgement import Verdict, exact_verdict, noisy_verdict
from ondevice_bench.analyse.summary import CellSummary, RunSummary
from ondevice_bench.errors import ExitCode
from ondevice_bench.stats import fewest_rounds, shift

NOISY = metrics.with_role("compared")
CONFIDENCE = 0.95  # that none of all the claims on noisy metrics is false
SURE = frozenset({"regressed"})
DRIFT = 2  # times a metric's threshold, where rounds of a cell ran in one go


@dataclass(frozen=True)
class Difference:
    """One metric of one cell in both runs; `new` is None where it was not measured.

    Noisy metrics have the interval of their ratio, where there are rounds enough for one, and
    what is missing for a verdict.
    """

    cell: str
    metric: str
    base: float
    new: float | None
    verdict: Verdict
    lower: float | None = None
    upper: float | None = None
    reason: str = ""


@dataclass(frozen=True)
class Comparison:
    """What became of every metric of the base run that can be compared."""

    base: str
    new: str
    differences: tuple[Difference, ...]
    only_in_base: tuple[str, ...]
    only_in_new: tuple[str, ...]
    unlike: tuple[str, ...]
    not_compared: str = ""  # why noisy metrics were left out
    not_interleaved: tuple[str, ...] = ()  # the runs that were not

    def with_verdict(self, verdict: Verdict) -> tuple[Difference, ...]:
        """The differences with that verdict."""
        return tuple(item for item in self.differences if item.verdict == verdict)

    def exit_code(self, fail_on: Collection[str] = SURE) -> ExitCode:
        """4 where something regressed, 5 where something could not be compared, else 0."""
        if "regressed" in fail_on and self.with_verdict("regressed"):
            return ExitCode.REGRESSION
        if self.with_verdict("missing") or self.only_in_base or not self.differences:
            return ExitCode.INCONCLUSIVE
        if "inconclusive" in fail_on and self.with_verdict("inconclusive"):
            return ExitCode.INCONCLUSIVE
        return ExitCode.OK

    def to_dict(self) -> dict[str, Any]:
        """The comparison as plain values."""
        return asdict(self)


def compare(base: RunSummary, new: RunSummary, *, claims: int | None = None) -> Comparison:
    """Join on fingerprints: unlike workloads are named, never compared.

    `claims` is how many noisy ones are made in all, where these runs are but a part of it.
    """
    bases, news = _by_fingerprint(base), _by_fingerprint(new)
    both = [(cell, news[key]) for key, cell in bases.items() if key in news]
    same_kernels = _kernels(base) == _kernels(new)
    exact = [m for m in metrics.ALL if m.kind == "exact" and (same_kernels or not m.of_kernels)]
    reason = _why_not_noisy(base, new)
    timed = [
        (cell, other, name)
        for cell, other in both
        for name in NOISY
        if not reason and name in cell.estimates
    ]
    confidence = 1 - (1 - CONFIDENCE) / max(1, len(timed) if claims is None else claims)
    sides = (base, new) if timed else ()
    one_by_one = (side.run.id for side in sides if not side.is_interleaved)
    not_interleaved = tuple(dict.fromkeys(one_by_one))
    drift = DRIFT if not_interleaved else 1
    return Comparison(
        base=base.run.id,
        new=new.run.id,
        differences=(
            *(found for cell, other in both for found in _differences(cell, other, exact)),
            *(_noisy(cell, other, name, confidence, drift) for cell, other, name in timed),
        ),
        only_in_base=tuple(cell.id for key, cell in bases.items() if key not in news),
        only_in_new=tuple(cell.id for key, cell in news.items() if key not in bases),
        unlike=_unlike(base, new),
        not_compared=reason,
        not_interleaved=not_interleaved,
    )


def claims_on(cells: Iterable[CellSummary]) -> int:
    """How many noisy claims it takes to judge others by these cells."""
    return sum(name in cell.estimates for cell in cells for name in NOISY)


def together(parts: Sequence[Comparison]) -> Comparison:
    """One comparison of what was compared cell by cell; the runs are the same in all."""
    return replace(
        parts[0],
        differences=tuple(found for part in parts for found in part.differences),
        only_in_base=tuple(cell for part in parts for cell in part.only_in_base),
        only_in_new=tuple(cell for part in parts for cell in part.only_in_new),
        not_interleaved=tuple(dict.fromkeys(run for part in parts for run in part.not_interleaved)),
    )


def _why_not_noisy(base: RunSummary, new: RunSummary) -> str:
    """Times and memory of another machine are another machine's."""
    unlike = [
        name
        for name in sorted({*base.run.machine, *new.run.machine})
        if base.run.machine.get(name) != new.run.machine.get(name)
    ]
    if unlike:
        return f"times and memory were measured on unlike machines ({', '.join(unlike)})"
    return ""


def _noisy(
    base: CellSummary, new: CellSummary, name: str, confidence: float, drift: int
) -> Difference:
    metric = metrics.BY_NAME[name]
    before, after = _rounds(base, name), _rounds(new, name)
    middle = median(before)
    if not after:
        return Difference(base.id, name, middle, None, "missing", reason=new.unavailable[name])
    if min(*before, *after) <= 0:
        reason = "a reading is not positive, so there is no ratio"
        return Difference(base.id, name, middle, median(after), "inconclusive", reason=reason)
    found = shift(before, after, drift * metric.threshold, confidence)
    if found.upper == float("inf"):
        fewest = fewest_rounds(confidence)
        reason = (
            f"{len(before)} and {len(after)} processes measured it; {fewest} of each can decide"
        )
        return Difference(base.id, name, middle, median(after), "inconclusive", reason=reason)
    verdict = noisy_verdict(metric, found)
    return Difference(base.id, name, middle, median(after), verdict, found.lower, found.upper)


def _rounds(cell: CellSummary, name: str) -> list[float]:
    """One reading a process: the median of its samples."""
    return [median(samples) for samples in cell.samples.get(name, ()) if samples]


def _by_fingerprint(summary: RunSummary) -> dict[str, CellSummary]:
    planned = (cell for cell in summary.cells if cell.planned.state == "planned")
    return {cell.planned.cell.fingerprint: cell for cell in planned}


def _kernels(summary: RunSummary) -> tuple[object, ...]:
    """What decides which kernels compute."""
    software = summary.run.software
    names = ("torch", "torch_commit", "torch_blas", "torch_cpu")
    return (summary.run.machine.get("arch"), *(software.get(name) for name in names))


def _differences(
    base: CellSummary, new: CellSummary, compared: Sequence[metrics.Metric]
) -> list[Difference]:
    found: list[Difference] = []
    for metric in compared:
        if metric.name not in base.estimates:
            continue
        before = base.estimates[metric.name].estimate
        after = new.estimates.get(metric.name)
        if after is None:
            found.append(Difference(base.id, metric.name, before, None, "missing"))
            continue
        verdict = exact_verdict(metric, before, after.estimate)
        found.append(Difference(base.id, metric.name, before, after.estimate, verdict))
    return found


def _unlike(base: RunSummary, new: RunSummary) -> tuple[str, ...]:
    """What differs around the two runs: the first places to look for a cause."""
    return tuple(
        f"{kind} {name}: {before.get(name)} → {after.get(name)}"
        for kind, before, after in (
            ("software", base.run.software, new.run.software),
            ("machine", base.run.machine, new.run.machine),
        )
        for name in sorted({*before, *after})
        if before.get(name) != after.get(name)
    )
