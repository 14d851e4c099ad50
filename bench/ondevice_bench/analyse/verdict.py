"""The verdict on a group of cells, in sentences. Each sentence is proven by an interval."""

from collections.abc import Callable, Mapping, Sequence

from ondevice_bench import metrics, passes, units
from ondevice_bench.analyse.groups import CellWithBaseline, Group
from ondevice_bench.specs import registry
from ondevice_bench.stats import Direction, Estimate, direction_of
from ondevice_bench.suite.goal import Goal

STEP, PEAK, COSINE = "step_seconds", "peak_rss_over_runtime_bytes", "gradient_cosine"
# every sentence of a verdict; tests cover them all
SENTENCES: Mapping[str, str] = {
    "alone": "Only {baseline} was measured, so there is nothing to compare it with.",
    "no baseline": "{baseline} was not measured with these methods, so they cannot be judged.",
    "unmeasured": "The {metric} was not measured, so no method can be chosen by it.",
    "none allowed": "No method meets the goal: {reasons}.",
    "best": "{method} has the lowest {metric}: {ratio} of {baseline}'s.",
    "best unsure": "{method} had the lowest {metric} here, {ratio} of {baseline}'s, but this is "
    "not proven: {processes} each. Set `rounds: {{{pass_name}: {rounds}}}` and run again.",
    "none better": "No method has a lower {metric} than {baseline} by more than the noise.",
    "costs": "It has {facts}.",
    "other": "{method} has the lowest peak memory: {ratio} of {baseline}'s, at {step}.",
    "learning unknown": "The effect of {methods} on the gradient was not measured "
    "(`measure: [fidelity]`).",
}


def is_exact(method: str) -> bool:
    """Whether the method computes vanilla's gradient, except for rounding."""
    return not registry.is_own(method) and all(spec.exact for spec in registry.parts(method))


def fewest(metric: str) -> int:
    """The fewest processes on each side that prove a difference."""
    described = metrics.BY_NAME[metric]
    return 1 if described.kind == "exact" else passes.BY_NAME[described.pass_name].fewest_processes


def proven_direction(ratio: Estimate | None, metric: str, processes: int) -> Direction:
    """The direction that a ratio to the baseline proves. Too few processes prove none."""
    if ratio is None or ratio.lower is None or ratio.upper is None:
        return "unknown"
    if processes < fewest(metric):
        return "unknown"
    return direction_of(ratio.lower, ratio.upper, metrics.BY_NAME[metric].threshold)


def _direction(member: CellWithBaseline, metric: str) -> Direction:
    return proven_direction(member.ratio(metric), metric, member.rounds(metric))


def verdict(group: Group, goal: Goal, baseline: str) -> tuple[str, ...]:
    """The sentences that the results of one seed prove; the choice comes first."""
    seed = min(member.cell.planned.cell.seed for member in group.members)
    members = [m for m in group.members if m.cell.planned.cell.seed == seed]
    rivals = [member for member in members if not member.is_baseline]
    if not rivals:
        return (SENTENCES["alone"].format(baseline=baseline),)
    if all(member.base is None for member in rivals):
        return (SENTENCES["no baseline"].format(baseline=baseline),)
    name = metrics.BY_NAME[goal.minimise].noun
    comparable = [member for member in rivals if member.ratio(goal.minimise) is not None]
    if not comparable:
        return (SENTENCES["unmeasured"].format(metric=name),)
    refusals = {member.label: _refusal(member, goal) for member in comparable}
    allowed = [member for member in comparable if not refusals[member.label]]
    if not allowed:
        reasons = "; ".join(f"{label}: {why}" for label, why in refusals.items())
        return (SENTENCES["none allowed"].format(reasons=reasons),)
    sentences, best = _choice(allowed, goal.minimise, baseline)
    return (*sentences, *_lowest_peak(allowed, best, baseline), *_unknown_learning(allowed))


def _choice(
    allowed: Sequence[CellWithBaseline], metric: str, baseline: str
) -> tuple[list[str], CellWithBaseline | None]:
    """The sentences about the lowest value of a metric, and the method that has it."""
    name = metrics.BY_NAME[metric].noun
    better = [m for m in allowed if _direction(m, metric) == "less"]
    if better:
        best = min(better, key=_by(metric))
        values = {"method": best.label, "metric": name, "baseline": baseline}
        facts = _facts(best, metric, baseline)
        sentences = [SENTENCES["best"].format(ratio=_ratio(best.ratio(metric)), **values)]
        return [*sentences, *([SENTENCES["costs"].format(facts=facts)] if facts else [])], best
    few = [m for m in allowed if m.ratio(metric) is not None and m.rounds(metric) < fewest(metric)]
    lowest = min(few, key=_by(metric), default=None)
    if lowest is not None and _by(metric)(lowest) < 1:
        unsure = SENTENCES["best unsure"].format(
            method=lowest.label,
            metric=name,
            baseline=baseline,
            ratio=_ratio(lowest.ratio(metric)),
            processes=_processes(lowest.rounds(metric)),
            pass_name=metrics.BY_NAME[metric].pass_name,
            rounds=fewest(metric),
        )
        return [unsure], None
    return [SENTENCES["none better"].format(metric=name, baseline=baseline)], None


def _processes(count: int) -> str:
    return "one process" if count == 1 else f"{count} processes"


def _lowest_peak(
    allowed: Sequence[CellWithBaseline], best: CellWithBaseline | None, baseline: str
) -> tuple[str, ...]:
    """The method with the lowest peak, if it is not `best`. Exact methods count, too."""
    lower = [m for m in allowed if _direction(m, PEAK) == "less"]
    lowest = min(lower, key=_by(PEAK), default=None)
    if lowest is None or lowest is best:
        return ()
    step = lowest.ratio(STEP)
    return (
        SENTENCES["other"].format(
            method=lowest.label,
            ratio=_ratio(lowest.ratio(PEAK)),
            baseline=baseline,
            step=f"{_ratio(step)} of its step time"
            if step
            else "a step time that was not measured",
        ),
    )


def _unknown_learning(allowed: Sequence[CellWithBaseline]) -> tuple[str, ...]:
    unknown = [m for m in allowed if not is_exact(m.method) and COSINE not in m.cell.estimates]
    names = list(dict.fromkeys(member.method for member in unknown))
    if not names:
        return ()
    listing = " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))
    return (SENTENCES["learning unknown"].format(methods=listing),)


def _facts(member: CellWithBaseline, metric: str, baseline: str) -> str:
    """Other results of a choice: its step, its peak and its gradient, without `metric`."""
    facts = [
        f"{_ratio(ratio)} of {baseline}'s {metrics.BY_NAME[name].noun}"
        for name in (STEP, PEAK)
        if name != metric and (ratio := member.ratio(name)) is not None
    ]
    if is_exact(member.method):
        facts.append("the exact gradient")
    elif (cosine := member.cell.estimates.get(COSINE)) is not None:
        facts.append(f"a gradient cosine of {cosine.estimate:.2f} after ten steps")
    return ", ".join(facts)


def _refusal(member: CellWithBaseline, goal: Goal) -> str:
    """Why a method does not meet the goal; empty if it does."""
    cosine = member.cell.estimates.get(COSINE)
    if not is_exact(member.method) and cosine is not None and cosine.estimate < goal.min_cosine:
        return f"its gradient cosine is {cosine.estimate:.2f}, below {goal.min_cosine:g}"
    if goal.max_peak_bytes is not None:
        peak = member.cell.estimates.get(PEAK)
        if peak is None:
            return "its peak was not measured"
        if max(peak.estimate, peak.upper or 0.0) > goal.max_peak_bytes:
            return f"its peak is above {units.size(goal.max_peak_bytes)}"
    if goal.max_slowdown is not None:
        step = member.ratio(STEP)
        if step is None:
            return "its step time was not measured"
        if max(step.estimate, step.upper or 0.0) > goal.max_slowdown:
            return f"its step may take more than {goal.max_slowdown:g}× the baseline's"
    return ""


def _by(metric: str) -> Callable[[CellWithBaseline], float]:
    def key(member: CellWithBaseline) -> float:
        ratio = member.ratio(metric)
        assert ratio is not None
        return ratio.estimate

    return key


def _ratio(ratio: Estimate | None) -> str:
    """A ratio with its interval, if it has one."""
    assert ratio is not None
    text = units.ratio(ratio.estimate)
    if ratio.basis == "exact":
        return text
    if ratio.lower is None or ratio.upper is None:
        return f"{text} (no interval)"
    return f"{text} ({units.ratio(ratio.lower)} … {units.ratio(ratio.upper)})"
