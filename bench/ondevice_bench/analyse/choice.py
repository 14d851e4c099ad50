"""The choice of the method with the lowest value of a metric, and how sure that is."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from ondevice_bench import metrics, passes, units
from ondevice_bench.analyse.gradient import gradient_quality
from ondevice_bench.analyse.groups import CellWithBaseline
from ondevice_bench.passes import TIME
from ondevice_bench.stats import Direction, Estimate, direction_of, is_too_wide

STEP, PEAK = "step_seconds", "peak_rss_over_runtime_bytes"
SLOWEST = 1.1  # multiples of the baseline's step that still count as about as fast

# what to do
QUIET = "Stop other programs, or use another machine, and run again"
LONGER = "Give each process more time (the caveats say how), and run again"
NOT_ALTERNATING = (
    "the rounds did not alternate between these cells, so a drift of the machine may look like "
    "this difference. Use `bench run --fresh`, or `--interleave` of pytest"
)

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
    """The direction that the results of a cell prove.

    A disturbed process makes the interval wider, but it does not count for a proof: if all
    processes of the baseline were disturbed, each method would look faster.
    """
    count = member.undisturbed(metric)
    return proven_direction(member.ratio(metric), metric, count, member.drift(metric))


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
    if usable and usable[0][1].estimate < 1 and _may_be_lower(usable[0][0], metric):
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
    """Whether noise may hide that a method is below the baseline. A drift may hide it, too.

    Too few processes prove nothing. But a method far above the baseline is no candidate even then.
    Neither is one that enough processes show to be lower by the threshold at most.
    """
    needed, ratio = fewest(metric), member.ratio(metric)
    if direction(member, metric) != "unknown":
        return False
    is_enough = member.undisturbed(metric) >= needed
    is_above = proven_direction(ratio, metric, needed, member.drift(metric) - is_enough) == "more"
    least = 1 - metrics.BY_NAME[metric].threshold
    is_level = is_enough and member.drift(metric) == 1 and ratio and (ratio.lower or 0) >= least
    return not (is_above or is_level)


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
        for m, _ in steps
        if 0 < longest_step(m) <= SLOWEST and m.undisturbed(STEP) >= fewest(STEP)
    ]
    proven = choose(surely, PEAK)
    if proven is not None and proven.proof == "proven":
        return proven
    choice = choose([m for m, step in steps if step.estimate <= SLOWEST], PEAK)
    if choice is None or not (choice.member or choice.unclear):
        return _hidden_by_steps(steps, baseline)
    if choice.member is None or choice.proof != "proven":
        return choice
    missing = _missing_of_step(choice.member, baseline)
    return replace(choice, proof="not proven", missing=missing, near=())


def _hidden_by_steps(found: Iterable[tuple[CellWithBaseline, Estimate]], baseline: str) -> Choice:
    """No choice. The unclear ones need less memory, and noise hides how long their steps are."""
    near = [member for member, step in found if (step.lower or step.estimate) <= SLOWEST]
    unclear = tuple(
        member
        for member, _ in _by_value(near, PEAK)
        if direction(member, PEAK) == "less" or _may_be_lower(member, PEAK)
    )
    if not unclear:
        return Choice(PEAK, None, "none")
    longer = f"{(SLOWEST - 1) * 100:.0f} %"
    steps = "their steps are" if len(unclear) > 1 else "its step is"
    missing = f"noise hides whether {steps} at most {longer} longer than {baseline}'s"
    return Choice(PEAK, None, "none", f"{missing}. {_advice(unclear[0], STEP)}", unclear)


def longest_step(member: CellWithBaseline) -> float:
    """The longest that the step may take, as a multiple of the baseline's; 0 if it is unknown.

    If the rounds were not interleaved, a drift of the machine may hide a part of it.
    """
    hidden = (member.drift(STEP) - 1) * metrics.BY_NAME[STEP].threshold
    return _longest_seen(member) * (1 + hidden)


def _longest_seen(member: CellWithBaseline) -> float:
    """The same if no drift hides anything."""
    step = member.ratio(STEP)
    return step.upper or 0.0 if step else 0.0


def _missing_of_step(member: CellWithBaseline, baseline: str) -> str:
    """What would prove that the step is short enough."""
    longest = longest_step(member)
    if member.rounds(STEP) < fewest(STEP) or not longest:
        return _missing(member, STEP)
    if longest <= SLOWEST:
        return f"{_about_disturbed(member, STEP)}. {QUIET}"
    if _longest_seen(member) <= SLOWEST:
        return NOT_ALTERNATING
    limit, most = units.ratio(SLOWEST), units.ratio(_longest_seen(member))
    longer = f"up to {most}" if most != limit else f"more than {limit}"
    return f"its step may take {longer} as long as {baseline}'s. {_advice(member, STEP)}"


def _missing(member: CellWithBaseline, metric: str) -> str:
    """What would prove a difference."""
    needed, rounds = fewest(metric), member.rounds(metric)
    if rounds < needed:
        return (
            f"only {_processes(rounds)} measured each side. "
            f"Set `rounds: {{{_pass_of(metric)}: {needed}}}` and run again"
        )
    clear = [
        proven_direction(member.ratio(metric), metric, rounds, drift) != "unknown"
        for drift in (member.drift(metric), 1)
    ]
    if clear[0]:
        return f"{_about_disturbed(member, metric)}. {QUIET}"
    if clear[1]:
        return NOT_ALTERNATING
    return f"the results vary by more than the difference. {_advice(member, metric)}"


def _about_disturbed(member: CellWithBaseline, metric: str) -> str:
    """The sentence about a clear interval of too few undisturbed processes."""
    return (
        f"only {member.undisturbed(metric)} of {_processes(member.rounds(metric))} of each side "
        f"were not disturbed, and a proof needs {fewest(metric)}"
    )


def _advice(member: CellWithBaseline, metric: str) -> str:
    """What makes an interval narrower."""
    if member.undisturbed(metric) < member.rounds(metric):
        return QUIET
    sides = (member.cell, member.base)
    if _pass_of(metric) == TIME and any(side.is_imprecise for side in sides if side):
        return LONGER
    return "Use a quieter machine and run again"


def _pass_of(metric: str) -> str:
    return metrics.BY_NAME[metric].pass_name


def _processes(count: int) -> str:
    return "one process" if count == 1 else f"{count} processes"
