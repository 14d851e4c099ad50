"""What the page of several boards says to run, before its table."""

from ondevice_bench.report.board_advice import advice_on_boards
from ondevice_bench.report.board_answers import BoardAnswer
from ondevice_bench.suite.goal import Goal

NAMES = ("pi5", "desk", "pi4")


def answer(method, number="1×", badge="", cell="c", proof="proven"):
    return BoardAnswer("", method, number, "", (badge,) if badge else (), (), proof, cell)


FAST = answer("wasi", "0.52×", "proven")
NOISY = answer("wasi", "0.9×", "not proven", proof="not proven")
BASE = answer("vanilla", cell="", proof="no gain")
UNKNOWN = answer("", "", "unknown", "", "unknown")
SMALL = answer("lean", "0.4×", "proven")


def said(asked, memory, goal=None):
    return advice_on_boards(NAMES, asked, memory, goal or Goal(), "vanilla")


def test_boards_with_one_method_stand_together():
    assert said((FAST, FAST, BASE), (SMALL, SMALL, SMALL)) == (
        (
            "For the goal, run wasi: 0.52× of vanilla's step time on pi5, 0.52× on desk; run vanilla "
            "on pi4: no method is proven to have a lower step time there."
        ),
        (
            "If memory is short, run lean: 0.4× of vanilla's peak memory on pi5, 0.4× on desk, 0.4× "
            "on pi4."
        ),
    )


def test_a_method_that_is_not_proven_is_no_advice_for_the_goal():
    assert said((NOISY, BASE, NOISY), (BASE, BASE, BASE)) == (
        (
            "For the goal, run vanilla on pi5, desk and pi4: no method is proven to have a lower step "
            "time there."
        ),
    )


def test_a_number_that_is_not_proven_says_so():
    memory = (SMALL, answer("lean", "0.5×", "not proven"), answer("checkpoint", "0.3×", "proven"))
    assert said((BASE,) * 3, memory)[1] == (
        "If memory is short, run lean: 0.4× of vanilla's peak memory on pi5, 0.5× on desk (not "
        "proven); run checkpoint: 0.3× of vanilla's peak memory on pi4."
    )


def test_boards_without_an_answer_are_left_out():
    assert said((UNKNOWN, None, FAST), (UNKNOWN, None, None)) == (
        "For the goal, run wasi: 0.52× of vanilla's step time on pi4.",
    )
    assert said((UNKNOWN, None, None), (None, None, UNKNOWN)) == ()


def test_memory_is_named_once_if_it_is_the_goal():
    assert said((SMALL,) * 3, (SMALL,) * 3, Goal("peak_rss_over_runtime_bytes")) == (
        "For the goal, run lean: 0.4× of vanilla's peak memory on pi5, 0.4× on desk, 0.4× on pi4.",
    )
