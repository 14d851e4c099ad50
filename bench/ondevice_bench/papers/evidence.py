"""The measurements of stored runs for a published claim, in the claim's unit."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ondevice_bench import metrics, units
from ondevice_bench.analyse.groups import groups
from ondevice_bench.analyse.summary import CellSummary, RunSummary
from ondevice_bench.papers.published import SIZES, Claim
from ondevice_bench.stats import Estimate

# the unit of a metric for each unit of an absolute claim, and a factor
_UNITS = {
    "KiB": ("bytes", 1 / SIZES["KiB"]),
    "MiB": ("bytes", 1 / SIZES["MiB"]),
    "GiB": ("bytes", 1 / SIZES["GiB"]),
    "%": ("", 100.0),
}


@dataclass(frozen=True)
class MeasuredClaim:
    """A claim's number, measured on one board, in the claim's unit."""

    run: str
    board: str
    cell: str
    metric: str
    estimate: Estimate
    processes: int
    differs: tuple[str, ...]
    anatomy: str
    units: frozenset[str] = frozenset()  # the boards that measured it, if the run knows them


def measured(claim: Claim, summaries: Sequence[RunSummary]) -> tuple[MeasuredClaim, ...]:
    """The measurements of cells with the claim's model and method, and how the cells differ."""
    measurements: list[MeasuredClaim] = []
    for summary in summaries:
        for cell, base in _cells(claim, summary):
            differs = list(claim.query.differs(cell.planned.cell))
            board = summary.run.profile
            if claim.boards and board not in claim.boards:
                differs.append(f"board {board} instead of {' or '.join(claim.boards)}")
            for name in claim.measured:
                short = name == "accuracy" and claim.epochs is not None
                training = [f"a short training instead of {claim.epochs} epochs"] * short
                estimate = _in_unit(claim, name, cell.estimates.get(name), _of(base, name))
                if estimate is not None:
                    sides = [side for side in (cell, base) if side is not None]
                    count = min(len(side.samples.get(name, ())) for side in sides)
                    measurements.append(
                        MeasuredClaim(
                            run=summary.run.id,
                            board=board,
                            cell=cell.id,
                            metric=name,
                            estimate=estimate,
                            processes=count,
                            differs=(*differs, *training),
                            anatomy=anatomy(cell),
                            units=summary.units,
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
    claim: Claim, name: str, own: Estimate | None, base: Estimate | None
) -> Estimate | None:
    """The number in the claim's unit: MiB, times less than the base, or % of it saved."""
    if own is None:
        return None
    if claim.ratio_of is None:
        unit, factor = _UNITS.get(claim.unit, (None, 1.0))
        if unit != metrics.described(name).unit:
            return None
        lower, upper = (None if v is None else v * factor for v in (own.lower, own.upper))
        return Estimate(own.estimate * factor, lower, upper, own.basis)
    if base is None:
        return None
    pairs = ((own.estimate, base.estimate), (own.upper, base.lower), (own.lower, base.upper))
    middle, lower, upper = (_gain(claim, *pair) for pair in pairs)
    exact = own.basis == base.basis == "exact"
    basis = "exact" if exact else f"{base.basis}, over: {own.basis}"
    return None if middle is None else Estimate(middle, lower, upper, basis)


def _gain(claim: Claim, own: float | None, base: float | None) -> float | None:
    if own is None or base is None:
        return None
    return times(claim, own, base)


def times(claim: Claim, own: float, base: float) -> float | None:
    """`base` divided by `own`, or the share that `own` saves in %."""
    if claim.unit == "%":
        return 100 * (1 - own / base) if base else None
    return base / own if own else None


def anatomy(cell: CellSummary) -> str:
    """Which modules store the bytes for backward; empty without a trace."""
    whole = cell.estimates.get("activation_bytes")
    if whole is None or not whole.estimate:
        return ""
    parts = {
        metrics.BY_NAME[name].label: cell.estimates[name].estimate / whole.estimate
        for name in metrics.parts_of("activations")
        if name in cell.estimates
    }
    largest = sorted(parts.items(), key=lambda item: -item[1])
    listing = ", ".join(f"{share:.0%} {label}" for label, share in largest if share >= 0.005)
    return f"the step stores {units.mib(whole.estimate)}: {listing}" if listing else ""
