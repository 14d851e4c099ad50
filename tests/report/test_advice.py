"""What the first screen says to run."""

import dataclasses

import pytest

from ondevice_bench.report.advice import advice, answers
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
                IF_SHORT.replace("memory.", "memory; step time 1.3×; the exact gradient."),
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
ASKED = dataclasses.replace(FAST, is_of_goal=True)


@pytest.mark.parametrize(
    ("what", "says"),
    [
        ({}, "lean, 0.4× of vanilla's peak memory, proven."),
        ({"interval": "0.3× … 0.5×"}, "lean, 0.4× (0.3× … 0.5×) of vanilla's peak memory, proven."),
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
def test_another_card_is_one_sentence_below_its_title(what, says):
    *_, last = answers((SMALL, ASKED, dataclasses.replace(BOTH, **what)), Goal(), "vanilla")
    assert last == f"{BOTH.title}: {says}"


def test_the_text_has_the_interval_and_the_price_of_the_goal_and_of_the_least_memory():
    asked = dataclasses.replace(ASKED, interval="0.5× … 0.6×", price=("memory 0.8×",))
    memory = dataclasses.replace(SMALL, missing="fewbit may be as low", price=("step time 2×",))
    unknown = dataclasses.replace(BOTH, badge="unknown")
    assert answers((memory, asked, unknown), Goal(), "vanilla") == (
        "For the goal, run wasi: 0.52× (0.5× … 0.6×) of vanilla's step time, proven; memory 0.8×.",
        f"{IF_SHORT.rstrip('.')}; step time 2×. fewbit may be as low.",
    )


def test_the_text_says_what_hides_a_better_method():
    asked = dataclasses.replace(BASE, is_of_goal=True, badge="not proven", condition="wasi may be.")
    assert answers((SMALL, asked), Goal(), "vanilla") == (
        "For the goal, run vanilla: no method is proven to have a lower step time. wasi may be.",
        IF_SHORT,
    )
    open_ = dataclasses.replace(ASKED, badge="not proven", missing="Run again")
    (says, *_) = answers((SMALL, open_), Goal(), "vanilla")
    assert says == (
        "For the goal, run vanilla: no method is proven to have a lower step time. wasi may have a "
        "lower one: 0.52× of vanilla's step time, not proven. Run again."
    )
    none = dataclasses.replace(BASE, is_of_goal=True, missing="No method is surely faster.")
    assert answers((SMALL, none), Goal(), "vanilla")[0].endswith("a lower step time.")


def test_the_text_of_a_goal_with_a_bound_also_names_the_fastest_without_it():
    fastest = dataclasses.replace(FAST, title="Fastest")
    asked = dataclasses.replace(SMALL, title="Best for the goal", is_of_goal=True)
    memory = dataclasses.replace(SMALL, title="Least memory")
    says = answers((memory, fastest, asked), Goal("peak_rss_over_runtime_bytes"), "vanilla")
    assert says == (
        "For the goal, run lean: 0.4× of vanilla's peak memory, proven.",
        "Least memory: lean, 0.4× of vanilla's peak memory, proven.",
        "Fastest: wasi, 0.52× of vanilla's step time, proven.",
    )


def test_without_an_answer_for_the_goal_the_text_has_the_other_cards():
    asked = dataclasses.replace(ASKED, badge="unknown")
    memory = dataclasses.replace(SMALL, title="Least memory")
    assert answers((memory, asked), Goal(), "vanilla") == (
        "Least memory: lean, 0.4× of vanilla's peak memory, proven.",
    )
