"""The answers of the cards as sentences: what to run, what it costs, and what is not proven."""

from collections.abc import Sequence

from ondevice_bench import metrics
from ondevice_bench.report.cards import Card
from ondevice_bench.suite.goal import Goal


def advice(cards: Sequence[Card], goal: Goal, baseline: str) -> tuple[str, ...]:
    """What to run for the goal, what may be better, and what to run if memory is short.

    Empty without an answer. The cards say the rest.
    """
    asked = _asked(cards)
    if asked.badge == "unknown":
        return ()
    memory = _least_memory(cards)
    return (
        *_for_goal(asked, goal, baseline, _facts(asked)),
        *([f"{_if_short(memory, _facts(memory), memory.price)}."] if memory else []),
    )


def answers(cards: Sequence[Card], goal: Goal, baseline: str) -> tuple[str, ...]:
    """The answers of all cards, for a reader who does not see the cards.

    Each one has its interval, its price, and what would prove it.
    """
    asked = _asked(cards)
    others = [card for card in cards if card is not asked and card.badge != "unknown"]
    if asked.badge == "unknown":
        return tuple(map(_of_question, others))
    memory = _least_memory(cards)
    return (
        _asked_with_reason(asked, goal, baseline),
        *(
            _with_reason(_if_short(card, _all_facts(card), card.price), card)
            if card is memory
            else _of_question(card)
            for card in others
        ),
    )


def _asked_with_reason(card: Card, goal: Goal, baseline: str) -> str:
    text = " ".join(_for_goal(card, goal, baseline, _all_facts(card)))
    if card.cell:
        text = "; ".join([text.rstrip("."), *card.price])
    return text if card.badge == "no gain" else _with_reason(text, card)


def _asked(cards: Sequence[Card]) -> Card:
    """The card that answers what the goal of the suite asks."""
    return next(card for card in cards if card.is_of_goal)


def _least_memory(cards: Sequence[Card]) -> Card | None:
    """The first card, if it has a method, and another one than the card of the goal."""
    memory = cards[0]
    return memory if memory.cell and memory.cell != _asked(cards).cell else None


def _for_goal(card: Card, goal: Goal, baseline: str, facts: str) -> tuple[str, ...]:
    """What to run for the goal. A method that is not proven to be lower is not run for it."""
    if card.cell and card.badge == "proven":
        return (f"For the goal, run {card.method}: {facts}, proven.",)
    noun = metrics.BY_NAME[goal.minimise].noun
    answer = f"For the goal, run {baseline}: no method is proven to have a lower {noun}."
    if not card.cell:
        return (answer,)
    return answer, f"{card.method} may have a lower one: {facts}, not proven."


def _if_short(card: Card, facts: str, price: Sequence[str]) -> str:
    """The method with the least memory, and what it costs."""
    proof = "" if "proven" in card.badges else ", not proven"
    return "; ".join([f"If memory is short, run {card.method}: {facts}{proof}", *price])


def _of_question(card: Card) -> str:
    """The answer to another question, below the title of its card."""
    if not card.cell:
        return _with_reason(f"{card.title}: {card.method}", card)
    proof = "with a time that is not proven" if card.condition else card.badge
    return _with_reason(f"{card.title}: {card.method}, {_all_facts(card)}, {proof}", card)


def _with_reason(text: str, card: Card) -> str:
    """The text, then the part of the answer that is not proven, or what would prove it."""
    reason = card.condition or card.missing
    return ". ".join(part.rstrip(".") for part in (text, reason) if part) + "."


def _facts(card: Card, interval: str = "") -> str:
    unknown = ", with an unknown effect on the gradient" if card.unknown_gradient else ""
    return f"{card.number}{interval} {card.of}{unknown}"


def _all_facts(card: Card) -> str:
    return _facts(card, f" ({card.interval})" if card.interval else "")
