"""The choice of the method with the lowest value of a metric, and how sure that is."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from ondevice_bench import metrics, passes, units
from ondevice_bench.analyse.gradient import gradient_quality
from ondevice_bench.analyse.groups import CellWithBaseline
from ondevice_bench.stats import Direction, Estimate, direction_of, is_too_wide

STEP, PEAK = "step_seconds", "peak_rss_over_runtime_bytes"
SLOWEST = 1.1  # multiples of the baseline's step that still count as about as fast

Proof = Literal["proven", "not proven", "none"]


@dataclass(frozen=True)
class Choice:
    """The method with the lowest value of a metric. `proof` is `none` if no method is lower.

    Then `unclear` has the methods that may be below the baseline, but the noise hides it.
    """

    metric: str
    member: CellWithBaseline | None
    proof: Proof
    missing: str = ""  # what would prove it
    unclear: tuple[CellWithBaseline, ...] = ()
    # if the gradient of this method is unknown: the choice among methods with a known gradient
    known: "Choice | None" = None
    # of a proven choice: the methods that may be as low. The proof is against the baseline only
    near: tuple[CellWithBaseline, ...] = ()

    @property
    def ratio(self) -> Estimate | None:
        """The metric of the method as a multiple of the baseline's."""
        return self.member.ratio(self.metric) if self.member else None


def fewest(metric: str) -> int:
    """The fewest processes on each side that prove a difference."""
    described = metrics.BY_NAME[metric]
    return 1 if described.kind == "exact" else passes.BY_NAME[described.pass_name].fewest_processes


def proven_direction(
    ratio: Estimate | None, metric: str, processes: int, drift: int = 1
) -> Direction:
    """The direction that a ratio to the baseline proves. Too few processes prove nothing.

    `drift` multiplies the threshold of the metric.
    """
    if ratio is None or ratio.lower is None or ratio.upper is None:
        return "unknown"
    if processes < fewest(metric):
        return "unknown"
    return direction_of(ratio.lower, ratio.upper, drift * metrics.BY_NAME[metric].threshold)


def direction(member: CellWithBaseline, metric: str) -> Direction:
    """The direction that the results of a cell prove."""
    return proven_direction(member.ratio(metric), metric, member.rounds(metric), member.drift)


def choose(allowed: Iterable[CellWithBaseline], metric: str) -> Choice | None:
    """The lowest method that is proven to be below the baseline, or else one that may be below it.

    A number that is too noisy to use is never chosen, but it may be as low as the choice.
    """
    by_value = _by_value(allowed, metric)
    if not by_value:
        return None
    proven = [member for member, _ in by_value if direction(member, metric) == "less"]
    usable = [(member, ratio) for member, ratio in by_value if not is_too_wide(ratio)]
    if proven:
        near = as_low((member for member, _ in by_value), proven[0], metric)
        return Choice(metric, proven[0], "proven", near=near)
    if usable and usable[0][1].estimate < 1 and direction(usable[0][0], metric) == "unknown":
        lowest, _ = usable[0]
        return Choice(metric, lowest, "not proven", _missing(lowest, metric))
    unclear = tuple(member for member, _ in by_value if _may_be_lower(member, metric))
    return Choice(metric, None, "none", _missing(unclear[0], metric) if unclear else "", unclear)


def _by_value(
    members: Iterable[CellWithBaseline], metric: str
) -> list[tuple[CellWithBaseline, Estimate]]:
    """The methods with their ratios, the lowest value first. All are compared with one cell.

    Layers that freeze nothing may have baselines of their own, which train alike.
    """
    found = [(member, ratio) for member in members if (ratio := member.ratio(metric)) is not None]

    def order(pair: tuple[CellWithBaseline, Estimate]) -> float:
        member, own = pair
        return (replace(member, base=found[0][0].base).ratio(metric) or own).estimate

    return sorted(found, key=order)


def _may_be_lower(member: CellWithBaseline, metric: str) -> bool:
    """Whether a method may be below the baseline. A drift of the machine may hide that."""
    found = member.ratio(metric), metric, member.rounds(metric)
    is_above = proven_direction(*found, drift=member.drift - 1) == "more"
    return direction(member, metric) == "unknown" and not is_above


def as_low(
    members: Iterable[CellWithBaseline], chosen: CellWithBaseline, metric: str
) -> tuple[CellWithBaseline, ...]:
    """The members that are not proven to have more than the choice."""
    against = ((member, replace(member, base=chosen.cell)) for member in members)
    return tuple(
        member
        for member, each in against
        if member is not chosen
        and each.ratio(metric) is not None
        and direction(each, metric) != "more"
    )


def with_known_gradient(
    members: Sequence[CellWithBaseline],
    chosen: Callable[[Sequence[CellWithBaseline]], Choice | None],
) -> Choice | None:
    """The choice. If its gradient is unknown, it also has the choice among known gradients."""
    choice = chosen(members)
    if choice is None or choice.member is None or gradient_quality(choice.member).is_known:
        return choice
    known = chosen([member for member in members if gradient_quality(member).is_known])
    return replace(choice, known=known or Choice(choice.metric, None, "none"))


def choose_about_as_fast(allowed: Iterable[CellWithBaseline], baseline: str) -> Choice | None:
    """The least memory among methods with a step of at most `SLOWEST` times the baseline's.

    It is proven if memory and step are. None if every step time is too noisy to use.
    """
    steps = [(m, step) for m in allowed if (step := m.ratio(STEP)) and not is_too_wide(step)]
    if not steps:
        return None
    surely = [
        m
        for m, step in steps
        if step.upper and step.upper <= SLOWEST and m.rounds(STEP) >= fewest(STEP)
    ]
    proven = choose(surely, PEAK)
    if proven is not None and proven.proof == "proven":
        return proven
    choice = choose([m for m, step in steps if step.estimate <= SLOWEST], PEAK)
    if choice is None:
        return Choice(PEAK, None, "none")
    if choice.member is None or choice.proof != "proven":
        return choice
    member, step = choice.member, choice.member.ratio(STEP)
    missing = _missing(member, STEP)
    if step and step.upper and member.rounds(STEP) >= fewest(STEP):
        limit, most = units.ratio(SLOWEST), units.ratio(step.upper)
        missing = (
            f"its step may take {f'up to {most}' if most != limit else f'more than {limit}'} as "
            f"long as {baseline}'s. Use a quieter machine and run again"
        )
    return replace(choice, proof="not proven", missing=missing, near=())


def _missing(member: CellWithBaseline, metric: str) -> str:
    """What would prove a difference."""
    needed, rounds = fewest(metric), member.rounds(metric)
    pass_name = metrics.BY_NAME[metric].pass_name
    if rounds < needed:
        return (
            f"only {_processes(rounds)} measured each side. "
            f"Set `rounds: {{{pass_name}: {needed}}}` and run again"
        )
    if direction(replace(member, drift=1), metric) != "unknown":
        return (
            "the rounds of a cell ran one after another, so a drift of the machine may look like "
            "this difference. Use `bench run`, or `--interleave` of pytest"
        )
    return "the results vary by more than the difference. Use a quieter machine and run again"


def _processes(count: int) -> str:
    return "one process" if count == 1 else f"{count} processes"
