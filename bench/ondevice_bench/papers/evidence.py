"""What stored runs measured of a published claim, in the claim's unit."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ondevice_bench import metrics, units
from ondevice_bench.analyse.groups import groups
from ondevice_bench.analyse.summary import CellSummary, RunSummary
from ondevice_bench.papers.published import Claim
from ondevice_bench.stats import Estimate
from ondevice_bench.units import MIB


@dataclass(frozen=True)
class Measurement:
    """A claim's number as one board measured it, in the claim's unit."""

    run: str
    board: str
    cell: str
    metric: str
    estimate: Estimate
    processes: int
    differs: tuple[str, ...]
    anatomy: str


def measured(claim: Claim, summaries: Sequence[RunSummary]) -> tuple[Measurement, ...]:
    """What stored runs measured: cells of the claim's model and method, and how they differ."""
    measurements: list[Measurement] = []
    for summary in summaries:
        for cell, base in _cells(claim, summary):
            differs = list(claim.query.differs(cell.planned.cell))
            board = summary.run.profile
            if claim.boards and board not in claim.boards:
                differs.append(f"board {board} instead of {' or '.join(claim.boards)}")
            for name in claim.measured:
                estimate = _in_unit(claim, name, cell.estimates.get(name), _of(base, name))
                if estimate is not None:
                    sides = [side for side in (cell, base) if side is not None]
                    count = min(len(side.samples.get(name, ())) for side in sides)
                    measurements.append(
                        Measurement(
                            run=summary.run.id,
                            board=board,
                            cell=cell.id,
                            metric=name,
                            estimate=estimate,
                            processes=count,
                            differs=tuple(differs),
                            anatomy=anatomy(cell),
                        )
                    )
    return tuple(sorted(measurements, key=lambda each: (len(each.differs), each.run, each.cell)))


def _cells(claim: Claim, summary: RunSummary) -> Iterator[tuple[CellSummary, CellSummary | None]]:
    """The run's cells of the claim's model and method, each with its baseline."""
    for group in groups(summary, claim.ratio_of):
        for member in group.members:
            if claim.query.method is None or not claim.query.is_near(member.cell.planned.cell):
                continue
            if claim.ratio_of is None:
                yield member.cell, None
            elif member.base is not None and not member.is_baseline:
                yield member.cell, member.base


def _of(base: CellSummary | None, name: str) -> Estimate | None:
    return None if base is None else base.estimates.get(name)


def _in_unit(
    claim: Claim, name: str, mine: Estimate | None, base: Estimate | None
) -> Estimate | None:
    """The number in the claim's unit: MiB, times less than the base, or % of it saved."""
    if mine is None:
        return None
    if claim.ratio_of is None:
        unit, factor = {"MiB": ("bytes", 1 / MIB), "%": ("", 100.0)}.get(claim.unit, (None, 1.0))
        if unit != metrics.described(name).unit:
            return None
        lower, upper = (None if v is None else v * factor for v in (mine.lower, mine.upper))
        return Estimate(mine.estimate * factor, lower, upper, mine.basis)
    if base is None:
        return None
    pairs = ((mine.estimate, base.estimate), (mine.upper, base.lower), (mine.lower, base.upper))
    middle, lower, upper = (_gain(claim, *pair) for pair in pairs)
    exact = mine.basis == base.basis == "exact"
    basis = "exact" if exact else f"{base.basis}, over: {mine.basis}"
    return None if middle is None else Estimate(middle, lower, upper, basis)


def _gain(claim: Claim, mine: float | None, base: float | None) -> float | None:
    if mine is None or base is None:
        return None
    return times(claim, mine, base)


def times(claim: Claim, mine: float, base: float) -> float | None:
    """How many times less `mine` is than `base`, or the share that it saves in %."""
    if claim.unit == "%":
        return 100 * (1 - mine / base) if base else None
    return base / mine if mine else None


def anatomy(cell: CellSummary) -> str:
    """Which modules store the bytes for backward; empty where that was not traced."""
    whole = cell.estimates.get("activation_bytes")
    if whole is None or not whole.estimate:
        return ""
    parts = {
        metrics.BY_NAME[name].label: cell.estimates[name].estimate / whole.estimate
        for name in metrics.parts_of("activations")
        if name in cell.estimates
    }
    largest = sorted(parts.items(), key=lambda item: -item[1])
    listed = ", ".join(f"{share:.0%} {label}" for label, share in largest if share >= 0.005)
    return f"the step stores {units.mib(whole.estimate)}: {listed}" if listed else ""
