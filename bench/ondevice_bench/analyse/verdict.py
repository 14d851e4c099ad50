"""The verdict on a group of cells: its choices, and the sentences about them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from ondevice_bench import metrics, units
from ondevice_bench.analyse.choice import (
    PEAK,
    STEP,
    Choice,
    choose,
    choose_about_as_fast,
    longest_step,
    with_known_gradient,
)
from ondevice_bench.analyse.gradient import diverges, gradient_quality
from ondevice_bench.analyse.groups import CellWithBaseline, Group
from ondevice_bench.stats import Estimate
from ondevice_bench.suite.goal import Goal

MOST_LISTED = 3  # methods that a sentence lists
LOST = "its loss was not finite after ten steps"
# what the sentences say if some methods do not meet the goal
AMONG = {"of": " of those that meet the goal", "that": " that meets the goal"}
# every sentence of a verdict; tests cover them all
SENTENCES: Mapping[str, str] = {
    "alone": "Only {baseline} was measured, so there is nothing to compare it with.",
    "no baseline": "There are no numbers of {baseline} to compare these methods with, so none can "
    "be judged.",
    "several baselines": "{baseline} was measured with several sets of options, and none of them "
    "belongs to these methods, so they cannot be judged.",
    "baseline diverges": "The loss of {baseline} itself was not finite after ten steps, so no "
    "method can be judged.",
    "unmeasured": "The {metric} was not measured, so no method can be chosen by it.",
    "no value": "{baseline} has no {metric}, so no method can be chosen by it: {reason}.",
    "no ratio": "The {metric} cannot be compared with {baseline}'s, so no method can be chosen by "
    "it: {reason}.",
    "none allowed": "No method meets the goal: {reasons}.",
    "best": "{method} has the lowest {metric}{of}: {ratio} of {baseline}'s.",
    "best unsure": "{method} had the lowest {metric} here{of}, {ratio} of {baseline}'s, but this "
    "is not proven: {missing}.",
    "near": "{others} may be as low: the noise hides which is lower.",
    "tie": "The same number: {others}.",
    "none better": "No method{that} has a lower {metric} than {baseline} by more than the noise.",
    "unclear": "It is not proven whether {methods} {has} a lower {metric} than {baseline}. The "
    "reason: {missing}.",
    "costs": "It has {facts}.",
    "other": "{method} has the lowest peak memory{of}: {ratio} of {baseline}'s, at {step}.",
    "outside": "{methods} {do} not meet the goal: {bounds}.",
    "diverging": "The loss of {methods} was not finite after ten steps.",
    "allocator": "{method} has {facts} under the default allocator.",
    "learning unknown": "The effect of {methods} on the gradient is not known: {reason}.",
}


@dataclass(frozen=True)
class Verdict:
    """The conclusions from the results of one seed. `obstacle` says why there are none."""

    obstacle: str
    by_goal: Choice | None
    by_memory: Choice | None
    by_time: Choice | None
    by_both: Choice | None  # the least memory among those that are about as fast as the baseline
    refused: Mapping[str, str]  # why a method does not meet the goal, by label
    too_far: Mapping[str, str]  # the part of `refused` that is about the gradient or the loss
    sentences: tuple[str, ...]
    about_others: tuple[str, ...]  # the sentences about methods that were not chosen
    baseline: str  # its label


def verdict(
    group: Group, goal: Goal, baseline: str, lost_accuracy: Mapping[str, str] | None = None
) -> Verdict:
    """The choices that the results of one seed prove, and the sentences about them.

    `lost_accuracy` says why a method does not keep the accuracy, by the id of its cell. Such a
    method is never chosen. Neither is a method with a gradient too far from the baseline's. The
    verdict is about the first seed only. The group has one baseline (`Group.by_baseline`).
    """
    members = group.of_first_seed.members
    baseline = next((member.full_label for member in members if member.is_baseline), baseline)
    rivals = [member for member in members if not member.is_baseline]
    comparable = [member for member in rivals if member.base is not None]
    allocators = _about_allocators(group)
    if not comparable:
        return _nothing(_why_not_compared(rivals, baseline), allocators, baseline)
    if any(member.base is not None and diverges(member.base) for member in comparable):
        sentence = SENTENCES["baseline diverges"].format(baseline=baseline)
        return _nothing(sentence, allocators, baseline)
    too_far = _having({m.label: _gradient_refusal(m, goal) for m in comparable})
    losing = _having({m.label: (lost_accuracy or {}).get(m.cell.id, "") for m in comparable})
    unfit = {**losing, **too_far}
    near = [member for member in comparable if member.label not in unfit]
    by_memory = with_known_gradient(near, partial(choose, metric=PEAK))
    by_time = with_known_gradient(near, partial(choose, metric=STEP))
    judged = [member for member in comparable if member.ratio(goal.minimise) is not None]
    refused = _having({m.label: why_outside(m, goal, lost_accuracy) for m in judged})
    allowed = [member for member in judged if member.label not in refused]
    by_goal = with_known_gradient(allowed, partial(choose, metric=goal.minimise))
    sentences: tuple[str, ...]
    others: tuple[str, ...] = ()
    if not judged:
        sentences = (_why_not_judged(comparable, goal.minimise, baseline),)
    elif not allowed:
        reasons = "; ".join(f"{label}: {why}" for label, why in refused.items())
        sentences = (SENTENCES["none allowed"].format(reasons=reasons),)
    else:
        among = AMONG if refused else dict.fromkeys(AMONG, "")
        chosen = _about_goal(by_goal, baseline, among)
        lowest = _about_memory(choose(allowed, PEAK), by_goal, baseline, among)
        outside = _outside(refused, losing, goal)
        others = (*outside, *_unknown_gradients(allowed), *allocators)
        sentences = (*chosen, *lowest, *others)
    obstacle = "" if allowed else sentences[0]
    by_both = with_known_gradient(near, partial(choose_about_as_fast, baseline=baseline))
    return Verdict(
        obstacle,
        by_goal,
        by_memory,
        by_time,
        by_both,
        refused,
        too_far,
        sentences,
        others,
        baseline,
    )


def _nothing(sentence: str, others: tuple[str, ...], baseline: str) -> Verdict:
    sentences = (sentence, *others)
    return Verdict(sentence, None, None, None, None, {}, {}, sentences, others, baseline)


def _why_not_compared(rivals: Sequence[CellWithBaseline], baseline: str) -> str:
    """The sentence about methods of which none has a baseline."""
    if not rivals:
        return SENTENCES["alone"].format(baseline=baseline)
    has_several = any(member.why_no_base for member in rivals)
    reason = "several baselines" if has_several else "no baseline"
    return SENTENCES[reason].format(baseline=baseline)


def _why_not_judged(comparable: Sequence[CellWithBaseline], metric: str, baseline: str) -> str:
    """The sentence about methods of which none has a ratio to the baseline, with the reason."""
    noun, base = metrics.BY_NAME[metric].noun, comparable[0].base
    why_not = next(filter(None, (member.why_no_ratio(metric) for member in comparable)), "")
    if why_not:
        return SENTENCES["no ratio"].format(baseline=baseline, metric=noun, reason=why_not)
    is_measured = any(metric in member.cell.estimates for member in comparable)
    if base is None or metric in base.estimates or not is_measured:
        return SENTENCES["unmeasured"].format(metric=noun)
    reason = base.unavailable.get(metric, base.status)
    return SENTENCES["no value"].format(baseline=baseline, metric=noun, reason=reason)


def against_default(member: CellWithBaseline) -> str:
    """The step and the peak, compared with the baseline's under the default allocator.

    Empty for a cell with the default allocator, or if neither was measured.
    """
    if member.default_base is None:
        return ""
    ratios = [
        f"{_ratio(ratio)} of the {metrics.BY_NAME[name].noun}"
        for name in (STEP, PEAK)
        if (ratio := member.ratio_to_default(name)) is not None
    ]
    method = member.default_base.planned.cell.method
    return f"{' and '.join(ratios)} of {method}" if ratios else ""


def _about_allocators(group: Group) -> tuple[str, ...]:
    """The effect of another allocator alone: the baseline under it and under the default one."""
    facts = {m.label: against_default(m) for m in group.of_first_seed.members if m.is_baseline}
    return tuple(
        SENTENCES["allocator"].format(method=label, facts=text)
        for label, text in facts.items()
        if text
    )


def _having(reasons: Mapping[str, str]) -> dict[str, str]:
    return {label: reason for label, reason in reasons.items() if reason}


def about_as_low(
    members: Sequence[CellWithBaseline], metric: str, most: int | None = MOST_LISTED
) -> str:
    """The sentence about cells that are, or may be, as low as the lowest; empty without any.

    It names `most` of them, or all.
    """
    if not members:
        return ""
    others = first([member.label for member in members], most)
    is_exact = metrics.BY_NAME[metric].kind == "exact"
    return SENTENCES["tie" if is_exact else "near"].format(others=others)


def _about_goal(choice: Choice | None, baseline: str, among: Mapping[str, str]) -> list[str]:
    assert choice is not None  # a method with the metric is allowed
    values = {"metric": metrics.BY_NAME[choice.metric].noun, "baseline": baseline, **among}
    if choice.member is None and choice.unclear:
        methods = listing([member.label for member in choice.unclear])
        has = "have" if len(choice.unclear) > 1 else "has"
        values |= {"methods": methods, "has": has, "missing": choice.missing}
        return [SENTENCES["unclear"].format(**values)]
    if choice.member is None:
        return [SENTENCES["none better"].format(**values)]
    values |= {"method": choice.member.full_label, "ratio": _ratio(choice.ratio)}
    if choice.proof == "not proven":
        return [SENTENCES["best unsure"].format(missing=choice.missing, **values)]
    facts = _facts(choice.member, choice.metric, baseline)
    best = _with_near(SENTENCES["best"].format(**values), choice)
    return [best, SENTENCES["costs"].format(facts=facts)]


def _with_near(sentence: str, choice: Choice) -> str:
    """The sentence about a choice, then the one about all methods as low as the choice."""
    return " ".join(filter(None, [sentence, about_as_low(choice.near, choice.metric, None)]))


def _about_memory(
    choice: Choice | None, by_goal: Choice | None, baseline: str, among: Mapping[str, str]
) -> tuple[str, ...]:
    """The sentence about the method with the lowest peak, if the goal chose another method."""
    if choice is None or choice.member is None:
        return ()
    if by_goal is not None and by_goal.proof == "proven" and by_goal.member is choice.member:
        return ()
    values = {"method": choice.member.full_label, "ratio": _ratio(choice.ratio)}
    values |= {"baseline": baseline, **among}
    if choice.proof != "proven":
        if by_goal is not None and by_goal.metric == PEAK:
            return ()
        noun = metrics.BY_NAME[PEAK].noun
        return (SENTENCES["best unsure"].format(metric=noun, missing=choice.missing, **values),)
    step = choice.member.ratio(STEP)
    lacking = "compared" if STEP in choice.member.cell.estimates else "measured"
    time = f"{_ratio(step)} of its step time" if step else f"a step time that was not {lacking}"
    sentence = SENTENCES["other"].format(step=time, **values)
    return (_with_near(sentence, choice),)


def bounds(goal: Goal) -> str:
    """What a goal asks for besides the lowest value of its metric."""
    asked = [f"gradient cosine of at least {goal.min_cosine:g} where it was measured"]
    if goal.max_peak_bytes is not None:
        asked.append(f"peak memory of at most {units.size(goal.max_peak_bytes)}")
    if goal.max_slowdown is not None:
        asked.append(f"step of at most {goal.max_slowdown:g} times the baseline's")
    return f"a {', a '.join(asked)}"


def _outside(refused: Mapping[str, str], losing: Mapping[str, str], goal: Goal) -> tuple[str, ...]:
    """The sentences about methods outside the bounds of the goal, and about lost losses.

    Methods that lose accuracy have sentences of their own.
    """
    diverging = [label for label, reason in refused.items() if reason == LOST]
    outside = [label for label in refused if label not in losing and label not in diverging]
    values = {"do": "does" if len(outside) == 1 else "do", "bounds": bounds(goal)}
    return tuple(
        SENTENCES[sentence].format(methods=first(labels), **values)
        for sentence, labels in (("outside", outside), ("diverging", diverging))
        if labels
    )


def first(labels: Sequence[str], most: int | None = MOST_LISTED) -> str:
    """The first few of these, and how many more there are; all of them without `most`."""
    more = 0 if most is None else len(labels) - most
    return listing([*labels[:most], *([f"{more} more"] if more > 0 else [])])


def _unknown_gradients(allowed: Sequence[CellWithBaseline]) -> tuple[str, ...]:
    """The sentences about methods whose gradient was not compared, one for each reason."""
    methods: dict[str, dict[str, None]] = {}
    for member in allowed:
        quality = gradient_quality(member)
        if not quality.is_known:
            methods.setdefault(quality.why_unknown, {})[member.method] = None
    return tuple(
        SENTENCES["learning unknown"].format(methods=listing(list(names)), reason=reason)
        for reason, names in methods.items()
    )


def listing(names: Sequence[str]) -> str:
    """Names in a sentence."""
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))


def _facts(member: CellWithBaseline, metric: str, baseline: str) -> str:
    """The other results of a choice: its step, its peak and its gradient, but not `metric`."""
    ratios = [
        f"{_ratio(ratio)} of {baseline}'s {metrics.BY_NAME[name].noun}"
        for name in (STEP, PEAK)
        if name != metric and (ratio := member.ratio(name)) is not None
    ]
    return ", ".join([*ratios, gradient_quality(member).text])


def why_outside(
    member: CellWithBaseline, goal: Goal, lost_accuracy: Mapping[str, str] | None = None
) -> str:
    """Why a cell does not meet the goal; empty if it does. It may also be the baseline.

    Without a baseline, nothing is known about the slowdown.
    """
    lost = (lost_accuracy or {}).get(member.cell.id, "")
    return _gradient_refusal(member, goal) or lost or _refusal(member, goal)


def _gradient_refusal(member: CellWithBaseline, goal: Goal) -> str:
    quality = gradient_quality(member)
    if quality.diverges and not quality.is_exact:
        return LOST
    if quality.is_exact or quality.lowest is None or quality.lowest >= goal.min_cosine:
        return ""
    text = quality.text_below(goal.min_cosine)
    return f"it has {text}, but the goal asks for at least {goal.min_cosine:g}"


def _refusal(member: CellWithBaseline, goal: Goal) -> str:
    """Why a method does not meet the bounds of the goal; empty if it does."""
    if goal.max_peak_bytes is not None:
        peak = member.cell.estimates.get(PEAK)
        if peak is None:
            return "its peak was not measured"
        if max(peak.estimate, peak.upper or 0.0) > goal.max_peak_bytes:
            return f"its peak is above {units.size(goal.max_peak_bytes)}"
    if goal.max_slowdown is not None and member.base is not None:
        step = member.ratio(STEP)
        if step is None:
            is_measured = STEP in member.cell.estimates
            return f"its step time was not {'compared' if is_measured else 'measured'}"
        slowest = 1.0 if member.is_baseline else max(step.estimate, longest_step(member))
        if slowest > goal.max_slowdown:
            return f"its step may take more than {goal.max_slowdown:g}× the baseline's"
    return ""


def _ratio(ratio: Estimate | None) -> str:
    """A ratio with its interval, if it has one."""
    assert ratio is not None
    text = units.ratio(ratio.estimate)
    if ratio.basis == "exact":
        return text
    if ratio.lower is None or ratio.upper is None:
        return f"{text} (no interval)"
    return f"{text} ({units.ratio(ratio.lower)} … {units.ratio(ratio.upper)})"
