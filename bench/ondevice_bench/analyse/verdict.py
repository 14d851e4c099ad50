"""What follows from a group's figures, in words: nothing is said that an interval does not bear."""

from collections.abc import Callable, Mapping, Sequence

from ondevice_bench import metrics, passes, units
from ondevice_bench.analyse.groups import CellWithBaseline, Group
from ondevice_bench.specs import registry
from ondevice_bench.stats import Direction, Estimate, direction_of
from ondevice_bench.suite.goal import Goal

STEP, PEAK, COSINE = "step_seconds", "peak_rss_over_runtime_bytes", "gradient_cosine"
# every sentence that a report may say; tests name them all
SENTENCES: Mapping[str, str] = {
    "alone": "Only {baseline} was measured: there is nothing to weigh it against.",
    "no baseline": "{baseline} was not measured beside these methods, so nothing is said of them.",
    "unmeasured": "The {metric} was not measured, so no method can be chosen by it.",
    "none allowed": "No method meets the goal: {reasons}.",
    "best": "{method} has the least {metric}: {ratio} of {baseline}'s.",
    "best unsure": "{method} shows the least {metric}, {ratio} of {baseline}'s, but nothing "
    "follows from that: {why}.",
    "none better": "No method shows less {metric} than {baseline}, beyond what is noise.",
    "costs": "It comes with {facts}.",
    "other": "{method} has the lowest peak memory: {ratio} of {baseline}'s, at {step}.",
    "learning unknown": "What {methods} to the gradient was not measured (`measure: [fidelity]`).",
}


def is_exact(method: str) -> bool:
    """Whether the method computes vanilla's own gradient, but for rounding."""
    return not registry.is_own(method) and all(spec.exact for spec in registry.parts(method))


def fewest(metric: str) -> int:
    """Processes of each side that a claim needs."""
    described = metrics.BY_NAME[metric]
    return 1 if described.kind == "exact" else passes.BY_NAME[described.pass_name].fewest_processes


def proven_direction(ratio: Estimate | None, metric: str, processes: int) -> Direction:
    """The direction that a ratio to the baseline proves; too few processes prove none."""
    if ratio is None or ratio.lower is None or ratio.upper is None:
        return "unknown"
    if processes < fewest(metric):
        return "unknown"
    return direction_of(ratio.lower, ratio.upper, metrics.BY_NAME[metric].threshold)


def _direction(member: CellWithBaseline, metric: str) -> Direction:
    return proven_direction(member.ratio(metric), metric, member.rounds(metric))


def verdict(group: Group, goal: Goal, baseline: str) -> tuple[str, ...]:
    """The sentences that the figures of one seed bear, the choice first."""
    seed = min(member.cell.planned.cell.seed for member in group.members)
    members = [m for m in group.members if m.cell.planned.cell.seed == seed]
    rivals = [member for member in members if not member.is_baseline]
    if not rivals:
        return (SENTENCES["alone"].format(baseline=baseline),)
    if all(member.base is None for member in rivals):
        return (SENTENCES["no baseline"].format(baseline=baseline),)
    name = metrics.BY_NAME[goal.minimise].noun
    weighed = [member for member in rivals if member.ratio(goal.minimise) is not None]
    if not weighed:
        return (SENTENCES["unmeasured"].format(metric=name),)
    refused = {member.label: _refused(member, goal) for member in weighed}
    allowed = [member for member in weighed if not refused[member.label]]
    if not allowed:
        reasons = "; ".join(f"{label}: {why}" for label, why in refused.items())
        return (SENTENCES["none allowed"].format(reasons=reasons),)
    said, best = _choice(allowed, goal.minimise, baseline)
    return (*said, *_lowest_peak(allowed, best, baseline), *_unknown_learning(allowed))


def _choice(
    allowed: Sequence[CellWithBaseline], metric: str, baseline: str
) -> tuple[list[str], CellWithBaseline | None]:
    """The sentences on the least of a metric, and the method that has it."""
    name = metrics.BY_NAME[metric].noun
    better = [m for m in allowed if _direction(m, metric) == "less"]
    if better:
        best = min(better, key=_by(metric))
        values = {"method": best.label, "metric": name, "baseline": baseline}
        facts = _facts(best, metric)
        said = [SENTENCES["best"].format(ratio=_ratio(best.ratio(metric)), **values)]
        return [*said, *([SENTENCES["costs"].format(facts=facts)] if facts else [])], best
    few = [m for m in allowed if m.ratio(metric) is not None and m.rounds(metric) < fewest(metric)]
    shown = min(few, key=_by(metric), default=None)
    if shown is not None and _by(metric)(shown) < 1:
        unsure = SENTENCES["best unsure"].format(
            method=shown.label,
            metric=name,
            baseline=baseline,
            ratio=_ratio(shown.ratio(metric)),
            why=f"each was measured in {_processes(shown.rounds(metric))}, and processes differ; "
            f"`rounds` of {fewest(metric)} can tell",
        )
        return [unsure], None
    return [SENTENCES["none better"].format(metric=name, baseline=baseline)], None


def _processes(count: int) -> str:
    return "one process" if count == 1 else f"{count} processes"


def _lowest_peak(
    allowed: Sequence[CellWithBaseline], best: CellWithBaseline | None, baseline: str
) -> tuple[str, ...]:
    """Who needs the least memory, if that is another one, exact rivals included."""
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
            step=f"{_ratio(step)} of its step time" if step else "a step time not measured",
        ),
    )


def _unknown_learning(allowed: Sequence[CellWithBaseline]) -> tuple[str, ...]:
    unknown = [m for m in allowed if not is_exact(m.method) and COSINE not in m.cell.estimates]
    names = list(dict.fromkeys(member.method for member in unknown))
    if not names:
        return ()
    listed = " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))
    verb = "does" if len(names) == 1 else "do"
    return (SENTENCES["learning unknown"].format(methods=f"{listed} {verb}"),)


def _facts(member: CellWithBaseline, but: str) -> str:
    """What else is known of a choice: its step, its peak, what it does to the gradient."""
    found = [
        f"{_ratio(ratio)} of its {metrics.BY_NAME[name].noun}"
        for name in (STEP, PEAK)
        if name != but and (ratio := member.ratio(name)) is not None
    ]
    if is_exact(member.method):
        found.append("the exact gradient")
    elif (cosine := member.cell.estimates.get(COSINE)) is not None:
        found.append(f"a gradient cosine of {cosine.estimate:.2f} after ten steps")
    return ", ".join(found)


def _refused(member: CellWithBaseline, goal: Goal) -> str:
    """Why the goal rules a method out; empty where it does not."""
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
            return f"its step may take more than {goal.max_slowdown:g} of the baseline's"
    return ""


def _by(metric: str) -> Callable[[CellWithBaseline], float]:
    def key(member: CellWithBaseline) -> float:
        found = member.ratio(metric)
        assert found is not None
        return found.estimate

    return key


def _ratio(found: Estimate | None) -> str:
    """A ratio with its interval, or with the reason why there is none."""
    assert found is not None
    said = units.ratio(found.estimate)
    if found.basis == "exact":
        return said
    if found.lower is None or found.upper is None:
        return f"{said} (no interval)"
    return f"{said} ({units.ratio(found.lower)} … {units.ratio(found.upper)})"
