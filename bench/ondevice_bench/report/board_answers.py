"""The answer of each board in words: which method, whether it fits, what it costs, how sure."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ondevice_bench import metrics, units
from ondevice_bench.analyse.choice import PEAK, SLOWEST, STEP, Choice
from ondevice_bench.analyse.gradient import gradient_quality
from ondevice_bench.analyse.groups import CellWithBaseline
from ondevice_bench.analyse.summary import CellSummary
from ondevice_bench.analyse.verdict import Verdict, about_as_low
from ondevice_bench.report.gauge import ratio_text
from ondevice_bench.suite.goal import Goal
from ondevice_bench.suite.labels import row_labels

SENTENCES: Mapping[str, str] = {
    "least": "{method} needs the least memory: {value}, {ratio} of {baseline}'s. This is proven.",
    "least unsure": "{method} had the lowest peak memory: {value}, {ratio} of {baseline}'s. This "
    "is not proven: {missing}.",
    "least of none": "No method needs less memory than {baseline} by more than the noise.",
    "least unclear": "The noise hides whether a method needs less memory than {baseline}: "
    "{missing}.",
    "fits": "It fits: it takes {share}.",
    "may not fit": "It may not fit: it takes up to {share}.",
    "does not fit": "It does not fit: it takes {share}.",
    "fit unknown": "Whether it fits is not known: this run does not say how much a step may use.",
    "costs": "Its cost: step time {step}; {gradient}.",
    "fastest": "{method} is the fastest: {value}, {ratio} of {baseline}'s. This is proven.",
    "fastest unsure": "{method} had the lowest step time: {value}, {ratio} of {baseline}'s. This "
    "is not proven: {missing}.",
    "fastest of none": "No method is faster than {baseline} by more than the noise.",
    "fastest unclear": "The noise hides whether a method is faster than {baseline}: {missing}.",
    "both": "With a step that is at most {longer} longer, {method} has {ratio} of {baseline}'s "
    "memory. This is proven.",
    "both unsure": "If the step may be {longer} longer, {method} has {ratio} of {baseline}'s "
    "memory. This is not proven: {missing}.",
    "goal": "For the goal, the lowest {metric}, {method} has {ratio} of {baseline}'s. This is "
    "proven.",
    "goal unsure": "For the goal, the lowest {metric}, {method} has {ratio} of {baseline}'s. This "
    "is not proven: {missing}.",
    "goal of none": "No method that meets the goal has a lower {metric} than {baseline} by more "
    "than the noise.",
    "goal unclear": "The noise hides whether a method that meets the goal has a lower {metric} "
    "than {baseline}: {missing}.",
    "unknown": "The {metric} of no method was compared.",
    "out of memory": " Out of memory here: {methods}.",
    "disturbed": "Other programs disturbed these times: they may be too long, and prove nothing. "
    "Stop these programs, and run again.",
}


def in_words(
    found: Verdict, goal: Goal, limit: int | None, members: Sequence[CellWithBaseline]
) -> str:
    """The sentences about the methods of a board. `limit` is the memory that a step may use."""
    if found.by_memory is None and found.by_time is None and found.obstacle:
        return found.obstacle
    sentences = [*_least(found, limit), *_fastest(found), *_third(found, goal)]
    if any(is_disturbed(member, (STEP,)) for member in members):
        sentences.append(SENTENCES["disturbed"])
    return " ".join(sentences)


def rests_on(goal: Goal) -> tuple[tuple[str, ...], ...]:
    """The metrics that each of the three cards is decided by."""
    if _asks_for_both(goal):
        return (PEAK,), (STEP,), (PEAK, STEP)
    bound = () if goal.max_slowdown is None else (STEP,)
    return (PEAK,), (STEP,), (goal.minimise, *bound)


def _asks_for_both(goal: Goal) -> bool:
    """Whether one of the first two cards is the goal's, so that the third one is about both."""
    has_bounds = goal.max_peak_bytes is not None or goal.max_slowdown is not None
    return goal.minimise in (PEAK, STEP) and not has_bounds


def is_disturbed(member: CellWithBaseline, names: Sequence[str]) -> bool:
    """Whether others used the processors while one of the metrics of its ratio was measured."""
    passes = {metrics.BY_NAME[name].pass_name for name in names}
    sides = (member.cell, member.base or member.cell)
    return any(passes.intersection(side.disturbed) for side in sides)


def out_of_memory(cells: Sequence[CellSummary], workload: tuple[Any, ...]) -> str:
    """The methods that had too little memory for a workload on the board; empty without any."""
    those = [cell for cell in cells if cell.planned.cell.of_any_method == workload]
    labels = row_labels([cell.planned.cell for cell in those])
    found = [label for cell, label in zip(those, labels, strict=True) if cell.status == "oom"]
    return SENTENCES["out of memory"].format(methods=", ".join(found)) if found else ""


def _least(found: Verdict, limit: int | None) -> Iterator[str]:
    choice = found.by_memory
    yield _chosen("least", choice, found.baseline, PEAK)
    if choice is None or choice.member is None:
        return
    if near := about_as_low(choice.near, choice.metric):
        yield near
    peak = choice.member.cell.estimates[PEAK]
    yield _fit(peak.estimate, max(peak.estimate, peak.upper or 0.0), limit)
    yield SENTENCES["costs"].format(
        step=ratio_text(choice.member, STEP), gradient=gradient_quality(choice.member).text
    )


def _fit(peak: float, most: float, limit: int | None) -> str:
    """Whether a peak is below the limit, with the whole of its interval."""
    if not limit:
        return SENTENCES["fit unknown"]
    if most <= limit:
        return SENTENCES["fits"].format(share=units.share(peak, limit))
    if peak > limit:
        return SENTENCES["does not fit"].format(share=units.share(peak, limit))
    return SENTENCES["may not fit"].format(share=units.share(most, limit))


def _fastest(found: Verdict) -> Iterator[str]:
    choice = found.by_time
    yield _chosen("fastest", choice, found.baseline, STEP)
    if choice is not None and (near := about_as_low(choice.near, choice.metric)):
        yield near


def _third(found: Verdict, goal: Goal) -> Iterator[str]:
    """The method that saves memory and is about as fast as the baseline, or the goal's."""
    if not _asks_for_both(goal):
        yield _of_goal(found, goal)
        return
    choice = found.by_both
    if choice is not None and choice.member is not None:
        yield SENTENCES[_sure("both", choice)].format(
            longer=units.percent(SLOWEST - 1), **_values(choice, choice.member, found.baseline)
        )


def _of_goal(found: Verdict, goal: Goal) -> str:
    noun, choice = metrics.BY_NAME[goal.minimise].noun, found.by_goal
    if choice is None:
        return found.obstacle or SENTENCES["unknown"].format(metric=noun)
    if choice.member is None:
        kind = "goal unclear" if choice.unclear else "goal of none"
        values = {"baseline": found.baseline, "missing": choice.missing}
        return SENTENCES[kind].format(metric=noun, **values)
    sentence = SENTENCES[_sure("goal", choice)]
    return sentence.format(metric=noun, **_values(choice, choice.member, found.baseline))


def _sure(name: str, choice: Choice) -> str:
    """The name of the sentence: a choice that is not proven has one of its own."""
    return name if choice.proof == "proven" else f"{name} unsure"


def _chosen(name: str, choice: Choice | None, baseline: str, metric: str) -> str:
    described = metrics.BY_NAME[metric]
    if choice is None:
        return SENTENCES["unknown"].format(metric=described.noun)
    if choice.member is None:
        kind = "unclear" if choice.unclear else "of none"
        return SENTENCES[f"{name} {kind}"].format(baseline=baseline, missing=choice.missing)
    sentence = SENTENCES[_sure(name, choice)]
    value = choice.member.cell.estimates[metric].estimate
    values = _values(choice, choice.member, baseline)
    return sentence.format(value=units.quantity(value, described.unit), **values)


def _values(choice: Choice, member: CellWithBaseline, baseline: str) -> dict[str, str]:
    assert choice.ratio is not None  # a method is chosen by it
    return {
        "method": member.full_label,
        "ratio": units.ratio(choice.ratio.estimate),
        "baseline": baseline,
        "missing": choice.missing,
    }
