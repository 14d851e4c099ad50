"""The measurements of stored runs for a published claim, in the claim's unit."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from ondevice_bench import metrics, passes, units
from ondevice_bench.analyse.groups import CellWithBaseline, groups
from ondevice_bench.analyse.summary import CellSummary, RunSummary
from ondevice_bench.papers.published import UNITS_OF_METRICS, Claim
from ondevice_bench.stats import Estimate
from ondevice_bench.suite.cell import Cell


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
        for member in _members(claim, summary):
            cell = member.cell
            differs = list(claim.query.differs_in_a_run(cell.planned.cell))
            board = summary.run.profile
            if claim.boards and board not in claim.boards:
                differs.append(f"board {board} instead of {' or '.join(claim.boards)}")
            for name in claim.measured:
                estimate = _in_unit(claim, name, member)
                if estimate is not None:
                    measurements.append(
                        MeasuredClaim(
                            run=summary.run.id,
                            board=board,
                            cell=cell.id,
                            metric=name,
                            estimate=estimate,
                            processes=member.rounds(name),
                            differs=(*differs, *_shorter(claim, name, cell.planned.cell)),
                            anatomy=anatomy(cell),
                            units=summary.units,
                        )
                    )
    return tuple(sorted(measurements, key=lambda each: (len(each.differs), each.run, each.cell)))


def _shorter(claim: Claim, metric: str, cell: Cell) -> tuple[str, ...]:
    """How the training that gave this metric differs in its length from the claim's."""
    if claim.epochs is None:
        return ()
    if metric == "accuracy":
        return (f"a short training instead of {claim.epochs} epochs",)
    if metrics.described(metric).pass_name != passes.LEARNING:
        return ()
    epochs = None if cell.learning is None else cell.learning.epochs
    return () if epochs == claim.epochs else (f"epochs {epochs} instead of {claim.epochs}",)


def _members(claim: Claim, summary: RunSummary) -> Iterator[CellWithBaseline]:
    """The run's cells of the claim's model and method. With a baseline if the claim has one."""
    for group in groups(summary, claim.ratio_of):
        for member in group.members:
            if claim.query.method is None or not claim.query.is_near(member.cell.planned.cell):
                continue
            if claim.ratio_of is None:
                yield replace(member, base=None)
            elif member.base is not None and not member.is_baseline:
                yield member


def _in_unit(claim: Claim, name: str, member: CellWithBaseline) -> Estimate | None:
    """The number in the claim's unit: MiB, times less than the base, or % of it saved."""
    if claim.ratio_of is None:
        own = member.cell.estimates.get(name)
        unit, factor = UNITS_OF_METRICS.get(claim.unit, (None, 1.0))
        if own is None or unit != metrics.described(name).unit:
            return None
        return _each(own, lambda value: value * factor)
    assert member.base is not None
    if claim.unit == "%":
        ratio = member.ratio(name)
        return None if ratio is None else _turned(_each(ratio, lambda value: 100 * (1 - value)))
    return replace(member, cell=member.base, base=member.cell).ratio(name)


def _each(estimate: Estimate, of: Callable[[float], float]) -> Estimate:
    """The estimate with a function of each of its numbers."""
    lower, upper = (None if end is None else of(end) for end in (estimate.lower, estimate.upper))
    return Estimate(of(estimate.estimate), lower, upper, estimate.basis)


def _turned(estimate: Estimate) -> Estimate:
    """The estimate with its lower end as the upper one: less is a larger saving."""
    return replace(estimate, lower=estimate.upper, upper=estimate.lower)


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
