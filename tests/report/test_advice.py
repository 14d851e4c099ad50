"""What the first screen says to run."""

import dataclasses

import pytest

from ondevice_bench.report.advice import advice
from ondevice_bench.report.cards import Card
from ondevice_bench.suite.goal import Goal

BASE = Card("", "vanilla", "1×", "step time", "", (), "no gain")
FAST = Card("", "wasi", "0.52×", "of vanilla's step time", "", (), "proven", cell="w")
SMALL = Card("", "lean", "0.4×", "of vanilla's peak memory", "", (), "proven", cell="l")
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
                (
                    "For the goal, run vanilla: no method is proven to have a lower step time. "
                    "wasi may have: 0.52× of vanilla's step time, not proven."
                ),
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
