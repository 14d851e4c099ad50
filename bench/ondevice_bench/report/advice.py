"""What to run, in one or two sentences: the answer of the cards before their numbers."""

from collections.abc import Sequence

from ondevice_bench import metrics
from ondevice_bench.report.cards import Card
from ondevice_bench.suite.goal import Goal


def advice(cards: Sequence[Card], goal: Goal, baseline: str) -> tuple[str, ...]:
    """What to run for the goal, and what to run if memory is short. Empty without an answer."""
    asked = next(card for card in cards if card.is_of_goal)
    if asked.badge == "unknown":
        return ()
    memory = cards[0]  # the first question is about memory
    is_other = memory.cell and memory.cell != asked.cell
    return (_for_goal(asked, goal, baseline), *([_for_memory(memory)] if is_other else []))


def _for_goal(card: Card, goal: Goal, baseline: str) -> str:
    noun = metrics.BY_NAME[goal.minimise].noun
    if not card.cell:
        return f"For the goal, run {baseline}: no method is proven to have a lower {noun}."
    if card.badge == "proven":
        return f"For the goal, run {card.method}: {_facts(card)}, proven."
    return (
        f"For the goal, run {baseline}: no method is proven to have a lower {noun}. {card.method} "
        f"may have: {_facts(card)}, not proven."
    )


def _for_memory(card: Card) -> str:
    """The method with the least memory, and what its step takes."""
    proof = "" if "proven" in card.badges else ", not proven"
    price = f"; {card.price[0]}" if card.price else ""
    return f"If memory is short, run {card.method}: {_facts(card)}{proof}{price}."


def _facts(card: Card) -> str:
    unknown = ", with an unknown effect on the gradient" if card.unknown_gradient else ""
    return f"{card.number} {card.of}{unknown}"
