"""The cards of the first screen: the answer to each question, its price, and how sure it is."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from ondevice_bench import metrics, units
from ondevice_bench.analyse.choice import PEAK, SLOWEST, STEP, Choice, direction
from ondevice_bench.analyse.gradient import gradient_quality
from ondevice_bench.analyse.groups import CellWithBaseline
from ondevice_bench.analyse.verdict import Verdict, about_as_low, first, listing
from ondevice_bench.report.gauge import ratio_text
from ondevice_bench.report.quantities import quantity_of, ratio_quantity
from ondevice_bench.report.shares import share_of
from ondevice_bench.stats import Estimate, is_too_wide
from ondevice_bench.suite.goal import Goal

Badge = Literal["proven", "not proven", "no gain", "unknown"]
# what a method that is not proven to be lower than the baseline may still be
MAY_BE: Mapping[str, str] = {STEP: "may be faster", PEAK: "may need less"}
# what each badge means, also those that stand beside another one
GRADIENT_UNKNOWN = "gradient unknown"
BADGES: Mapping[str, str] = {
    "proven": "the whole interval is better than {baseline}'s number, by more than the noise "
    "({noise}), and enough undisturbed processes measured both",
    "not proven": "noise may make or hide the difference. The card says what a proof needs",
    "no gain": "no method is better than {baseline} by more than the noise",
    "unknown": "no measurement answers the question",
    GRADIENT_UNKNOWN: "the gradient of the method was not compared with plain training's",
}
MOST_NAMED = 5  # methods whose names the text of a card has


@dataclass(frozen=True)
class Card:
    """The answer to one question: a method, its gain, its price, and the proof."""

    title: str
    method: str
    number: str  # the multiple of the baseline's value
    of: str  # whose value, and of which metric
    values: str  # the values behind the number
    price: tuple[str, ...]
    badge: Badge  # of the whole answer
    missing: str = ""  # what would prove it, or why there is no answer
    # the part of the answer that is not proven although the number needs no proof, or has one
    condition: str = ""
    names: str = ""  # all methods that may be as good, if the text leaves some out
    cell: str = ""
    # why the gradient is not known, and the answer without such methods; empty if it is known
    unknown_gradient: str = ""
    with_known_gradient: str = ""
    interval: str = ""  # of the number
    is_noisy: bool = False  # the interval of the number is too wide to use it
    repeats: str = ""  # the title of an earlier card that has the same answer in detail
    is_of_goal: bool = False  # whether it answers what the goal of the suite asks

    @property
    def badges(self) -> tuple[str, ...]:
        """How sure the number is, in the words that readers see. The baseline's 1× is sure."""
        own: list[str] = [self.badge]
        if self.condition:
            own = ["proven"] if self.cell else []
        return (*own, *([GRADIENT_UNKNOWN] if self.unknown_gradient else []))

    @property
    def look(self) -> str:
        """The badge that decides how the whole card looks."""
        return GRADIENT_UNKNOWN if self.unknown_gradient else self.badge


@dataclass(frozen=True)
class _Question:
    """What a card answers, and what it says if there is no answer."""

    title: str
    metric: str
    choice: Choice | None
    none_better: str
    unknown: str
    condition: str = ""  # what the choice needs besides the metric
    is_of_goal: bool = False


def cards(found: Verdict, goal: Goal, limit: int | None) -> tuple[Card, ...]:
    """The cards of a verdict. `limit` is the memory that a step may use."""
    return tuple(
        replace(_card(question, found, limit), is_of_goal=question.is_of_goal)
        for question in _questions(found, goal)
    )


def about_badges(found: Iterable[Card], baseline: str, noise: str) -> tuple[tuple[str, str], ...]:
    """The badges of these cards, each with its meaning. `noise` has the thresholds."""
    of_conditions = {"not proven" for card in found if card.condition}
    shown = of_conditions.union(*(card.badges for card in found))
    return tuple(
        (badge, meaning.format(baseline=baseline, noise=noise))
        for badge, meaning in BADGES.items()
        if badge in shown
    )


def without_repeats(found: tuple[Card, ...]) -> tuple[Card, ...]:
    """The cards. A card with the same answer as the first card shows only what is new."""
    leading, *others = found
    return (leading, *(_without_details(card, leading) for card in others))


def _without_details(card: Card, leading: Card) -> Card:
    if not card.cell or (card.cell, card.values) != (leading.cell, leading.values):
        return card
    known = card.with_known_gradient
    return replace(
        card,
        values="",
        price=(),
        missing="" if card.missing == leading.missing else card.missing,
        names="" if card.names == leading.names else card.names,
        with_known_gradient="" if known == leading.with_known_gradient else known,
        repeats=leading.title,
    )


def _questions(found: Verdict, goal: Goal) -> Iterable[_Question]:
    """Three questions. The third one depends on the goal."""
    is_asked = asks_for_both(goal)
    for title, metric, choice in (
        ("Least memory", PEAK, found.by_memory),
        ("Fastest", STEP, found.by_time),
    ):
        is_of_goal = is_asked and metric == goal.minimise
        yield _plain(f"{title}{' (the goal)' if is_of_goal else ''}", metric, choice, is_of_goal)
    if not is_asked:
        noun = metrics.BY_NAME[goal.minimise].noun
        yield _plain(f"Best for the goal: lowest {noun}", goal.minimise, found.by_goal, True)
        return
    longer = f"{(SLOWEST - 1) * 100:.0f} %"
    yield _Question(
        f"Least memory, {longer} more time allowed",
        PEAK,
        found.by_both,
        f"No method surely saves memory with a step that is at most {longer} longer than "
        f"{found.baseline}'s.",
        "No step time was measured, or all of them are too noisy to use.",
        f"At most {longer} more time",
    )


def asks_for_both(goal: Goal) -> bool:
    """Whether one of the first two questions is the goal's, so that the third is about both."""
    return goal == Goal(goal.minimise, goal.min_cosine) and goal.minimise in (PEAK, STEP)


def rests_on(goal: Goal) -> tuple[tuple[str, ...], ...]:
    """The metrics that each of the three answers is decided by."""
    if asks_for_both(goal):
        return (PEAK,), (STEP,), (PEAK, STEP)
    bound = () if goal.max_slowdown is None else (STEP,)
    return (PEAK,), (STEP,), (goal.minimise, *bound)


def noisy_metrics(goal: Goal) -> list[metrics.Metric]:
    """The metrics that decide the answers, and that vary from process to process."""
    judged = dict.fromkeys(name for names in rests_on(goal) for name in names)
    return [m for name in judged if (m := metrics.BY_NAME[name]).kind == "noisy"]


def about_noise(goal: Goal, drift: int = 1) -> str:
    """The thresholds of these metrics: a smaller difference is noise. `drift` multiplies them."""
    return ", ".join(f"{m.noun} {100 * drift * m.threshold:g} %" for m in noisy_metrics(goal))


def _plain(title: str, metric: str, choice: Choice | None, is_of_goal: bool) -> _Question:
    noun = metrics.BY_NAME[metric].noun
    return _Question(
        title,
        metric,
        choice,
        f"No method has a {noun} that is surely lower.",
        f"No method was compared by its {noun}.",
        is_of_goal=is_of_goal,
    )


def _card(question: _Question, found: Verdict, limit: int | None) -> Card:
    title, choice = question.title, question.choice
    noun = metrics.BY_NAME[question.metric].noun
    if choice is None:
        return Card(title, "–", "–", noun, "", (), "unknown", found.obstacle or question.unknown)
    member, ratio = choice.member, choice.ratio
    if member is None or ratio is None:
        return _without_winner(question, choice, found.baseline)
    quality = gradient_quality(member)
    # the number is proven, but not what the answer needs besides
    is_open = choice.proof != "proven" and direction(member, question.metric) == "less"
    return Card(
        title=title,
        method=member.full_label,
        number=units.ratio(ratio.estimate),
        of=f"of {found.baseline}'s {noun}",
        values=_values(member, question.metric, ratio, limit),
        price=tuple(_price(member, question.metric)),
        badge="proven" if choice.proof == "proven" else "not proven",
        missing="" if is_open else _missing(choice),
        condition=f"{question.condition}: {choice.missing}" if is_open else "",
        names=_all_names(choice.near),
        cell=member.cell.id,
        unknown_gradient="" if quality.is_known else quality.why_unknown or "it was not measured",
        with_known_gradient=_known(choice),
        interval=ratio_quantity(ratio, "").interval,
        is_noisy=is_too_wide(ratio),
    )


def _missing(choice: Choice) -> str:
    """What would prove the choice; of a proven one, which methods may be as low."""
    near = about_as_low(choice.near, choice.metric, MOST_NAMED)
    return near or choice.missing[:1].upper() + choice.missing[1:]


def _all_names(members: Sequence[CellWithBaseline]) -> str:
    """The names, if there are too many of them for the text of a card."""
    return listing([each.label for each in members]) if len(members) > MOST_NAMED else ""


def _without_winner(question: _Question, choice: Choice, baseline: str) -> Card:
    """No method is lower than the baseline, or the noise hides which one is."""
    noun = metrics.BY_NAME[question.metric].noun
    if not choice.unclear:
        no_better = question.none_better
        return Card(question.title, baseline, "1×", noun, "", (), "no gain", no_better)
    labels = first([member.label for member in choice.unclear], MOST_NAMED)
    may = f"{may_be(choice.metric)}{_within(question, choice)}"
    candidates = f"These {may}: {labels}" if len(choice.unclear) > 1 else f"{labels} {may}"
    return Card(
        title=question.title,
        method=baseline,
        number="1×",
        of=noun,
        values="",
        price=(),
        badge="not proven",
        condition=f"{candidates}. The reason: {choice.missing}",
        names=_all_names(choice.unclear),
    )


def _within(question: _Question, choice: Choice) -> str:
    """What noise hides: whether a step is short enough, or whether a higher median is lower."""
    if question.condition:
        return " within this time"
    ratios = [member.ratio(choice.metric) for member in choice.unclear]
    are_higher = all(ratio is not None and ratio.estimate >= 1 for ratio in ratios)
    return ", although the medians say no" if are_higher else ""


def may_be(metric: str) -> str:
    """The words for methods that noise may hide: they may be lower than the baseline."""
    return MAY_BE.get(metric, "may be lower")


def _values(member: CellWithBaseline, metric: str, ratio: Estimate, limit: int | None) -> str:
    """Both values, the interval of the ratio, and the share of the board's memory."""
    assert member.base is not None
    own, base = (quantity_of(each, metric).estimate for each in (member.cell, member.base))
    interval = ratio_quantity(ratio, "").interval
    return "; ".join(
        filter(
            None,
            (
                f"{own} instead of {base}",
                f"interval {interval}" if interval else "",
                share_of(member, limit) if metric == PEAK and limit else "",
            ),
        )
    )


def _known(choice: Choice) -> str:
    """The answer among methods whose gradient is exact or was compared."""
    known = choice.known
    if known is None:
        return ""
    if known.member is None or known.ratio is None:
        noun = metrics.BY_NAME[choice.metric].noun
        return f"No method with a known gradient has a {noun} that is surely lower"
    proof = "" if known.proof == "proven" else ", not proven"
    facts = f"{units.ratio(known.ratio.estimate)}{proof}, {gradient_quality(known.member).text}"
    return f"With a known gradient: {known.member.full_label}, {facts}"


def _price(member: CellWithBaseline, metric: str) -> Iterable[str]:
    """What the method costs besides the metric it was chosen by."""
    for name in (PEAK, STEP):
        if name != metric:
            yield f"{metrics.BY_NAME[name].noun} {ratio_text(member, name)}"
    quality = gradient_quality(member)
    if quality.is_known:
        yield quality.text
