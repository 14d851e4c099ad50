"""Two runs side by side: exact metrics, cell by cell, on equal fingerprints."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from bench.analyse.summary import CellSummary, RunSummary
from bench.errors import ExitCode
from bench.record import metrics

Verdict = Literal["same", "better", "worse", "missing"]


@dataclass(frozen=True)
class Difference:
    """One exact metric of one cell in both runs; `new` is None where it was not measured."""

    cell: str
    metric: str
    base: float
    new: float | None
    verdict: Verdict


@dataclass(frozen=True)
class Comparison:
    """What became of every exact metric of the base run."""

    base: str
    new: str
    differences: tuple[Difference, ...]
    only_in_base: tuple[str, ...]
    only_in_new: tuple[str, ...]
    unlike: tuple[str, ...]

    def of(self, verdict: Verdict) -> tuple[Difference, ...]:
        """The differences with that verdict."""
        return tuple(item for item in self.differences if item.verdict == verdict)

    @property
    def exit_code(self) -> ExitCode:
        """4 where something got worse, 5 where something could not be compared, else 0."""
        if self.of("worse"):
            return ExitCode.REGRESSION
        if self.of("missing") or self.only_in_base or not self.differences:
            return ExitCode.INCONCLUSIVE
        return ExitCode.OK

    def to_json(self) -> dict[str, Any]:
        """The comparison as plain values."""
        return {**asdict(self), "exit_code": int(self.exit_code)}


def compare(base: RunSummary, new: RunSummary) -> Comparison:
    """Join on fingerprints: unlike workloads are named, never compared."""
    bases, news = _by_fingerprint(base), _by_fingerprint(new)
    same_kernels = _kernels(base) == _kernels(new)
    compared = [m for m in metrics.ALL if m.kind == "exact" and (same_kernels or not m.of_kernels)]
    return Comparison(
        base=base.run.id,
        new=new.run.id,
        differences=tuple(
            difference
            for key, cell in bases.items()
            if key in news
            for difference in _differences(cell, news[key], compared)
        ),
        only_in_base=tuple(cell.id for key, cell in bases.items() if key not in news),
        only_in_new=tuple(cell.id for key, cell in news.items() if key not in bases),
        unlike=_unlike(base, new),
    )


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
        verdict: Verdict = "same"
        if after.estimate != before:
            improved = (after.estimate < before) == metric.lower_is_better
            verdict = "better" if improved else "worse"
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
