"""The answers of the cards as sentences: what to run, and what a little more time would save."""

from collections.abc import Sequence

from ondevice_bench import metrics
from ondevice_bench.report.cards import Card, asks_for_both
from ondevice_bench.suite.goal import Goal


def advice(cards: Sequence[Card], goal: Goal, baseline: str) -> tuple[str, ...]:
    """What to run for the goal, what may be better, and what to run if memory is short.

    Empty without an answer.
    """
    asked = next(card for card in cards if card.is_of_goal)
    if asked.badge == "unknown":
        return ()
    memory = cards[0]  # the first question is about memory
    is_other = memory.cell and memory.cell != asked.cell
    return (*_for_goal(asked, goal, baseline), *([_for_memory(memory)] if is_other else []))


def with_more_time(cards: Sequence[Card], goal: Goal) -> str:
    """The last card as a sentence, if it answers this question. Empty without an answer."""
    card = cards[-1]
    if not asks_for_both(goal) or card.badge == "unknown":
        return ""
    if not card.cell:
        answer = card.method
    elif card.badge == "proven":
        answer = f"{card.method}, {_facts(card)}, proven"
    else:
        open_part = "with a time that is not proven" if card.condition else "not proven"
        answer = f"{card.method}, {_facts(card)}, {open_part}"
    reason = (card.condition or card.missing).rstrip(".")
    return ". ".join(filter(None, [f"{card.title}: {answer}", reason])) + "."


def _for_goal(card: Card, goal: Goal, baseline: str) -> tuple[str, ...]:
    if card.cell and card.badge == "proven":
        return (f"For the goal, run {card.method}: {_facts(card)}, proven.",)
    noun = metrics.BY_NAME[goal.minimise].noun
    answer = f"For the goal, run {baseline}: no method is proven to have a lower {noun}."
    if not card.cell:
        return (answer,)
    return answer, f"{card.method} may have a lower one: {_facts(card)}, not proven."


def _for_memory(card: Card) -> str:
    """The method with the least memory, and what its step takes."""
    proof = "" if "proven" in card.badges else ", not proven"
    price = f"; {card.price[0]}" if card.price else ""
    return f"If memory is short, run {card.method}: {_facts(card)}{proof}{price}."


def _facts(card: Card) -> str:
    unknown = ", with an unknown effect on the gradient" if card.unknown_gradient else ""
    return f"{card.number} {card.of}{unknown}"
