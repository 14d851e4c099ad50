"""What the first screen says to run."""

import dataclasses

import pytest

from ondevice_bench.report.advice import advice, with_more_time
from ondevice_bench.report.cards import Card
from ondevice_bench.suite.goal import Goal

BASE = Card("", "vanilla", "1×", "step time", "", (), "no gain")
FAST = Card("", "wasi", "0.52×", "of vanilla's step time", "", (), "proven", cell="w")
SMALL_WORDS = ("0.4×", "of vanilla's peak memory", "", ())
SMALL = Card("", "lean", *SMALL_WORDS, "proven", cell="l")
IF_SHORT = "If memory is short, run lean: 0.4× of vanilla's peak memory."


@pytest.mark.parametrize(
    ("memory", "fastest", "says"),
    [
        (
            SMALL,
            FAST,
            ("For the goal, run wasi: 0.52× of vanilla's step time, proven.", IF_SHORT),
        ),
        (
            SMALL,
            dataclasses.replace(FAST, badge="not proven"),
            (
                "For the goal, run vanilla: no method is proven to have a lower step time.",
                "wasi may have a lower one: 0.52× of vanilla's step time, not proven.",
                IF_SHORT,
            ),
        ),
        (
            dataclasses.replace(SMALL, badge="not proven"),
            BASE,
            (
                "For the goal, run vanilla: no method is proven to have a lower step time.",
                IF_SHORT.replace("memory.", "memory, not proven."),
            ),
        ),
        (
            dataclasses.replace(SMALL, cell="w"),
            dataclasses.replace(FAST, unknown_gradient="it was not measured"),
            (
                (
                    "For the goal, run wasi: 0.52× of vanilla's step time, with an unknown effect "
                    "on the gradient, proven."
                ),
            ),
        ),
        (
            dataclasses.replace(SMALL, price=("step time 1.3×", "the exact gradient")),
            BASE,
            (
                "For the goal, run vanilla: no method is proven to have a lower step time.",
                IF_SHORT.replace("memory.", "memory; step time 1.3×."),
            ),
        ),
        (SMALL, dataclasses.replace(BASE, badge="unknown"), ()),
    ],
)
def test_it_names_a_method_for_the_goal_and_one_for_little_memory(memory, fastest, says):
    asked = dataclasses.replace(fastest, is_of_goal=True)
    assert advice((memory, asked, BASE), Goal(), "vanilla") == says


def test_the_decision_says_it_first(decided):
    assert (
        decided().advice[0]
        == "For the goal, run wasi fraction=0.25: 0.520× of vanilla's step time, proven."
    )


BOTH = Card("Least memory, 10 % more time allowed", "lean", *SMALL_WORDS, "proven", cell="l")


@pytest.mark.parametrize(
    ("what", "says"),
    [
        ({}, "lean, 0.4× of vanilla's peak memory, proven."),
        (
            {"missing": "fewbit may be as low"},
            "lean, 0.4× of vanilla's peak memory, proven. fewbit may be as low.",
        ),
        (
            {"badge": "not proven", "missing": "Three processes are needed."},
            "lean, 0.4× of vanilla's peak memory, not proven. Three processes are needed.",
        ),
        (
            {"badge": "not proven", "condition": "At most 10 % more time: run again"},
            (
                "lean, 0.4× of vanilla's peak memory, with a time that is not proven. At most 10 % "
                "more time: run again."
            ),
        ),
        (
            {"method": "vanilla", "cell": "", "badge": "no gain", "missing": "Nothing saves."},
            "vanilla. Nothing saves.",
        ),
    ],
)
def test_the_third_card_is_one_sentence_in_the_terminal(what, says):
    card = dataclasses.replace(BOTH, **what)
    assert with_more_time((SMALL, FAST, card), Goal()) == f"{BOTH.title}: {says}"


def test_the_third_card_is_silent_without_an_answer_or_for_another_question():
    unknown = dataclasses.replace(BOTH, badge="unknown")
    assert with_more_time((SMALL, FAST, unknown), Goal()) == ""
    assert with_more_time((SMALL, FAST, BOTH), Goal(max_slowdown=1.5)) == ""
