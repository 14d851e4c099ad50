"""Two runs side by side, cell by cell, on equal fingerprints and allocators.

Exact metrics are compared by equality. Noisy metrics are compared by rounds, because processes
differ more than the samples of one process. A difference is claimed if the whole interval of the
ratio lies beyond the metric's threshold. The confidence grows with the number of comparisons
(Bonferroni). Noisy metrics of different machines are not compared. The rounds of a run that was not
interleaved do not show a drift of the machine, so its threshold is twice as high.
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
CONFIDENCE = 0.95  # that no claim on a noisy metric is false
SURE = frozenset({"regressed"})
DRIFT = 2  # times a metric's threshold, if all rounds of a cell ran one after another


@dataclass(frozen=True)
class Difference:
    """One metric of one cell in both runs; `new` is None if it was not measured.

    A noisy metric with enough rounds has the interval of its ratio. `reason` says why a verdict is
    `missing` or `inconclusive`.
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
    """Every metric of the base run that can be compared, with its verdict."""

    base: str
    new: str
    differences: tuple[Difference, ...]
    only_in_base: tuple[str, ...]
    only_in_new: tuple[str, ...]
    unlike: tuple[str, ...]  # differences in software and machine
    not_compared: str = ""  # why noisy metrics were left out
    not_interleaved: tuple[str, ...] = ()  # the ids of such runs

    def with_verdict(self, verdict: Verdict) -> tuple[Difference, ...]:
        """The differences with that verdict."""
        return tuple(item for item in self.differences if item.verdict == verdict)

    def exit_code(self, fail_on: Collection[str] = SURE) -> ExitCode:
        """4 if something regressed, 5 if something could not be compared, else 0."""
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
    """Compare cells with equal keys. Other cells are listed, never compared.

    `claims` is the number of all noisy comparisons, if these runs are only a part of them.
    """
    bases, news = _by_key(base), _by_key(new)
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
            *(
                difference
                for cell, other in both
                for difference in _differences(cell, other, exact)
            ),
            *(_noisy(cell, other, name, confidence, drift) for cell, other, name in timed),
        ),
        only_in_base=tuple(cell.id for key, cell in bases.items() if key not in news),
        only_in_new=tuple(cell.id for key, cell in news.items() if key not in bases),
        unlike=_environment_differences(base, new),
        not_compared=reason,
        not_interleaved=not_interleaved,
    )


def claims_on(cells: Iterable[CellSummary]) -> int:
    """The number of noisy comparisons that these cells lead to."""
    return sum(name in cell.estimates for cell in cells for name in NOISY)


def join_comparisons(parts: Sequence[Comparison]) -> Comparison:
    """One comparison from comparisons of single cells. All are of the same two runs."""
    return replace(
        parts[0],
        differences=tuple(difference for part in parts for difference in part.differences),
        only_in_base=tuple(cell for part in parts for cell in part.only_in_base),
        only_in_new=tuple(cell for part in parts for cell in part.only_in_new),
        not_interleaved=tuple(dict.fromkeys(run for part in parts for run in part.not_interleaved)),
    )


def _why_not_noisy(base: RunSummary, new: RunSummary) -> str:
    """Why noisy metrics are not compared: the machines differ. Empty if they do not.

    Only a run over ssh knows its unit. One that knows none may come from the same machine.
    """
    one, other = base.run.machine, new.run.machine
    differing = [name for name in sorted({*one, *other}) if one.get(name) != other.get(name)]
    if not (one.get("unit") and other.get("unit")):
        differing = [name for name in differing if name != "unit"]
    if differing:
        return f"times and memory were measured on different machines ({', '.join(differing)})"
    return ""


def _noisy(
    base: CellSummary, new: CellSummary, name: str, confidence: float, drift: int
) -> Difference:
    metric = metrics.BY_NAME[name]
    before, after = _rounds(base, name), _rounds(new, name)
    middle = median(before)
    if not after:
        return Difference(base.id, name, middle, None, "missing", reason=new.unavailable[name])
    bases, news = ([metric.for_ratio(value) for value in side] for side in (before, after))
    if min(*bases, *news) <= 0:
        reason = "a reading is not positive, so there is no ratio"
        return Difference(base.id, name, middle, median(after), "inconclusive", reason=reason)
    change = shift(bases, news, drift * metric.threshold, confidence)
    if change.upper == float("inf"):
        fewest = fewest_rounds(confidence)
        reason = f"{len(before)} and {len(after)} processes measured it; {fewest} each are needed"
        return Difference(base.id, name, middle, median(after), "inconclusive", reason=reason)
    verdict = noisy_verdict(metric, change)
    return Difference(base.id, name, middle, median(after), verdict, change.lower, change.upper)


def _rounds(cell: CellSummary, name: str) -> list[float]:
    """One reading for each process: the median of its samples."""
    return [median(samples) for samples in cell.samples.get(name, ()) if samples]


def _by_key(summary: RunSummary) -> dict[str, CellSummary]:
    planned = (cell for cell in summary.cells if cell.planned.state == "planned")
    return {cell.planned.cell.key: cell for cell in planned}


def _kernels(summary: RunSummary) -> tuple[object, ...]:
    """The machine and software that decide which kernels are used."""
    software = summary.run.software
    names = ("torch", "torch_commit", "torch_blas", "torch_cpu")
    return (summary.run.machine.get("arch"), *(software.get(name) for name in names))


def _differences(
    base: CellSummary, new: CellSummary, compared: Sequence[metrics.Metric]
) -> list[Difference]:
    differences: list[Difference] = []
    for metric in compared:
        if metric.name not in base.estimates:
            continue
        before = base.estimates[metric.name].estimate
        after = new.estimates.get(metric.name)
        if after is None:
            differences.append(Difference(base.id, metric.name, before, None, "missing"))
            continue
        verdict = exact_verdict(metric, before, after.estimate)
        differences.append(Difference(base.id, metric.name, before, after.estimate, verdict))
    return differences


def _environment_differences(base: RunSummary, new: RunSummary) -> tuple[str, ...]:
    """Differences in software and machine. They are the first causes to check."""
    return tuple(
        f"{kind} {name}: {before.get(name)} → {after.get(name)}"
        for kind, before, after in (
            ("software", base.run.software, new.run.software),
            ("machine", base.run.machine, new.run.machine),
        )
        for name in sorted({*before, *after})
        if before.get(name) != after.get(name)
    )
