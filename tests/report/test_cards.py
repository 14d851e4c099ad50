"""The first screen: a card for each answer, and what it may say."""

import dataclasses
import re
from typing import get_args

import pytest

from ondevice_bench.metrics.learning import NOT_FINITE
from ondevice_bench.report import cards as report_cards
from ondevice_bench.report.cards import BADGES, Badge
from ondevice_bench.suite.goal import Goal
from tests.record.conftest import make_record
from tests.report import synthetic


def test_each_card_has_a_method_its_gain_its_price_and_a_badge(decided):
    memory, time, both = decided().cards
    assert (memory.title, memory.method, memory.number) == ("Least memory", "checkpoint", "0.375×")
    assert memory.badge == "proven"
    assert memory.of == "of vanilla's peak memory"
    assert memory.values.startswith("30.00 MiB instead of 80.00 MiB; interval 0.3")
    assert memory.values.endswith("; 0.8 % of 3.5 GiB")
    assert memory.price == ("step time 1.30×", "the exact gradient")
    assert (time.method, time.number) == ("wasi fraction=0.25", "0.520×")
    assert time.title == "Fastest (the goal)"
    assert (both.title, both.method) == (
        "Least memory, 10 % more time allowed",
        "wasi fraction=0.25",
    )
    assert (both.number, both.badge) == ("0.775×", "proven")


def test_a_goal_that_no_other_card_answers_has_a_card(decided):
    *_, goal = decided(Goal(minimise="activation_bytes")).cards
    assert (goal.title, goal.method) == (
        "Best for the goal: lowest activation bytes",
        "checkpoint",
    )
    *_, goal = decided(Goal(max_slowdown=1.2)).cards
    assert goal.title == "Best for the goal: lowest step time"


def test_least_memory_in_the_same_time_is_proven_only_if_the_time_is(decided):
    cells = [cell for cell in synthetic.cells() if cell.method in ("vanilla", "wasi")]
    wide = [
        dataclasses.replace(
            record, samples={"step_seconds": (*record.samples["step_seconds"], 0.2, 0.2, 0.2)}
        )
        if record.key.pass_name == "time" and record.key.cell.startswith("mcunet/wasi")
        else record
        for record in synthetic.records(cells)
    ]
    found = decided(cells=cells, records=wide)
    *_, both = found.cards
    assert {"proven", "not proven"} == {name for name, _ in found.badges}
    assert (both.method, both.badge) == ("wasi fraction=0.25", "not proven")
    assert (both.badges, both.look) == (("proven",), "not proven")  # the memory is, the time is not
    assert both.condition.startswith("At most 10 % more time: its step may take up to 2.")
    assert both.condition.endswith("as long as vanilla's. Use a quieter machine and run again")
    assert both.missing == ""


@pytest.mark.parametrize(("most", "text"), [(1.1004, "more than 1.10×"), (1.11, "up to 1.11×")])
def test_a_step_just_beyond_the_limit_is_not_rounded_to_it(decided, most, text):
    cells = synthetic.cells()[:2]
    records = [r for r in synthetic.records(cells) if r.key.pass_name != "time"]
    records += [
        make_record(cell=cell, number=number, samples={"step_seconds": [pace] * 9})
        for cell, paces in zip(cells, ([1.0] * 5, [1.0] * 4 + [most]), strict=True)
        for number, pace in enumerate(paces, 1)
    ]
    *_, both = decided(cells=cells, records=records).cards
    more = "At most 10 % more time: its step may take"
    assert both.condition.startswith(f"{more} {text} as long as vanilla's.")


def test_a_step_that_is_not_known_may_be_short_enough(decided):
    *_, both = decided(cells=synthetic.cells()[:2], slower={"asi": 3.0}).cards
    assert (both.badge, both.missing) == (
        "no gain",
        "No method surely saves memory with a step that is at most 10 % longer than vanilla's.",
    )


def test_a_noisy_baseline_is_marked_too(decided):
    cells = synthetic.cells()[:2]
    records = [
        make_record(cell=cell, metrics={"step_seconds": 1.0}, samples={"step_seconds": samples})
        for cell, samples in zip(cells, ([0.1] * 9 + [9.0] * 9, [1.0] * 9), strict=True)
    ]
    ((vanilla,), _) = decided(cells=cells, records=records).methods
    assert vanilla.gauges[1].tone == "noisy"


def test_without_a_time_to_use_nothing_is_said_about_the_same_time(decided):
    records = [r for r in synthetic.records(synthetic.cells()) if r.key.pass_name != "time"]
    *_, both = decided(records=records).cards
    assert (both.badge, both.number) == ("unknown", "–")


def test_a_price_that_is_not_proven_has_its_bounds(decided):
    few = [r for r in synthetic.records(synthetic.cells()) if r.key.round in (1, 2, 3)]
    memory, *_ = decided(records=few).cards
    assert re.fullmatch(r"step time 1.30× \(not proven: 1.\d+× … 1.\d+×\)", memory.price[0])


def test_a_card_without_a_gain_names_the_baseline_and_gives_no_number_of_its_own(decided):
    _, time, _ = decided(slower={"wasi": 3.0, "svd": 3.0}).cards
    assert (time.method, time.number, time.badge) == ("vanilla", "1×", "no gain")
    assert time.missing == "No method has a step time that is surely lower."


def test_a_card_of_the_baseline_names_the_methods_that_noise_may_hide(decided):
    slower = synthetic.records(synthetic.cells(), slower={"wasi": 2.0, "svd": 3.0, "asi": 0.92})
    few = [record for record in slower if record.key.round == 1]
    _, time, _ = decided(records=few).cards
    assert (time.method, time.number, time.badges) == ("vanilla", "1×", ())  # 1× is sure
    assert (time.badge, time.look) == ("not proven", "not proven")
    assert time.condition == (
        "These may be faster, although the medians say no: asi fraction=0.125 and wasi "
        "fraction=0.25. The reason: only one process measured each side. Set `rounds: {time: 5}` "
        "and run again"
    )


def test_a_card_has_all_names_even_if_its_text_has_a_few(decided, monkeypatch):
    paces = {"wasi": 2.0, "svd": 3.0, "asi": 0.92}
    every = synthetic.records(synthetic.cells(), slower=paces)
    records = [record for record in every if record.key.round == 1]
    assert decided(records=records).cards[1].names == ""
    monkeypatch.setattr(report_cards, "MOST_NAMED", 1)
    card = decided(records=records).cards[1]
    assert ": asi fraction=0.125 and 1 more. The reason: " in card.condition
    assert card.names == "asi fraction=0.125 and wasi fraction=0.25"


def test_every_badge_of_a_card_has_its_meaning(decided):
    found = decided()
    assert {name for name, _ in found.badges} == {n for card in found.cards for n in card.badges}
    assert {*get_args(Badge), report_cards.GRADIENT_UNKNOWN} == {*BADGES}


def test_a_winner_of_unknown_gradient_says_so_and_names_the_best_with_a_known_one(decided):
    every = synthetic.records(synthetic.cells())
    records = [record for record in every if record.key.pass_name != "fidelity"]
    memory, time, both = decided(records=records).cards
    assert (memory.method, memory.unknown_gradient) == ("checkpoint", "")
    assert (time.method, time.badge) == ("wasi fraction=0.25", "proven")
    assert time.unknown_gradient == "the fidelity pass has not run yet"
    assert time.price == ("peak memory 0.775×",)
    assert time.with_known_gradient == (
        "No method with a known gradient has a step time that is surely lower"
    )
    assert both.with_known_gradient.startswith("No method with a known gradient has a peak")
    fast = decided(records=_faster(records, "checkpoint", 0.7)).cards[1]
    assert fast.with_known_gradient == (
        "With a known gradient: checkpoint, 0.910×, the exact gradient"
    )


def _faster(records, method, factor):
    return [
        dataclasses.replace(
            record,
            samples={"step_seconds": [factor * x for x in record.samples["step_seconds"]]},
        )
        if f"/{method}" in record.key.cell and record.key.pass_name == "time"
        else record
        for record in records
    ]


def test_options_that_all_methods_share_are_named_once(decided):
    cells = synthetic.cells()
    chosen = [cells[0], cells[2], cells[3], cells[5]]  # all that have a fraction have 0.25
    found = decided(cells=chosen)
    assert found.shared == "fraction=0.25"
    assert [row.label for rows in found.methods for row in rows] == [
        "vanilla", "wasi", "asi", "checkpoint",
    ]  # fmt: skip
    assert found.cards[1].method == "wasi fraction=0.25"  # a card can stand alone
    assert decided().shared == ""


def test_a_card_that_is_not_proven_says_what_would_prove_it(decided):
    cells = synthetic.cells()[:2]
    records = [
        make_record(cell=cell, metrics={"step_seconds": value}, samples={"step_seconds": [value]})
        for cell, value in zip(cells, (1.0, 0.5), strict=True)
    ]
    memory, time, _ = decided(cells=cells, records=records).cards
    assert (time.number, time.badge) == ("0.500×", "not proven")
    assert (
        time.missing == "Only one process measured each side. Set `rounds: {time: 5}` and run again"
    )
    assert (memory.badge, memory.missing) == (
        "unknown",
        "No method was compared by its peak memory.",
    )


def test_a_method_with_a_wrong_gradient_is_on_no_card_and_the_table_says_why(decided):
    found = decided(Goal(min_cosine=0.6), slower={"wasi": 3.0})
    assert all("svd" not in card.method for card in found.cards)
    (svd,) = (row for rows in found.methods for row in rows if row.label.startswith("svd"))
    assert svd.is_gradient_low
    assert (
        svd.refusal
        == "it has a gradient cosine of 0.50 at step 1, but the goal asks for at least 0.6"
    )


def test_a_method_that_loses_its_loss_has_no_low_cosine(decided):
    records = [
        dataclasses.replace(
            each,
            metrics={"gradient_cosine_first": 0.99},
            unavailable={"loss_after_steps": NOT_FINITE},
        )
        if each.key.pass_name == "fidelity" and "/wasi" in each.key.cell
        else each
        for each in synthetic.records(synthetic.cells())
    ]
    found = decided(records=records)
    (wasi,) = (row for rows in found.methods for row in rows if row.label.startswith("wasi"))
    assert wasi.refusal == "its loss was not finite after ten steps"
    assert (wasi.gradient.value, wasi.is_gradient_low) == (0.99, False)


def test_a_method_that_loses_accuracy_is_on_no_card_and_the_table_says_how_much(decided):
    every = synthetic.records(synthetic.cells())
    unknown = [record for record in every if record.key.pass_name != "fidelity"]
    (wasi,) = (cell for cell in synthetic.cells() if cell.method == "wasi")
    assert decided(records=unknown).cards[1].method == "wasi fraction=0.25"
    reason = "it loses 10.0 points of accuracy (5.0 … 12.0)"
    found = decided(records=unknown, lost={wasi.id: reason})
    assert all("wasi" not in card.method for card in found.cards)
    assert found.cards[1].method == "svd fraction=0.25"
    (row,) = (row for rows in found.methods for row in rows if row.label.startswith("wasi"))
    assert (row.refusal, row.is_gradient_low) == (reason, False)


def test_a_number_that_is_too_noisy_makes_no_winner(decided):
    cells = synthetic.cells()[:2]
    records = [
        make_record(cell=cell, metrics={"step_seconds": middle}, samples={"step_seconds": samples})
        for cell, middle, samples in zip(
            cells, (1.0, 0.8), ([1.0] * 6, [0.05, *[0.8] * 4, 9.0]), strict=True
        )
    ]
    _, time, _ = decided(cells=cells, records=records).cards
    assert (time.method, time.number, time.badge) == ("vanilla", "1×", "not proven")
    assert time.condition.startswith("asi fraction=0.125 may be faster. ")  # by its median, too


def test_a_card_with_the_answer_of_the_first_one_has_only_what_is_new(decided):
    cells = [cell for cell in synthetic.cells() if cell.method in ("vanilla", "wasi")]
    memory, time, both = decided(cells=cells).cards
    assert (both.method, both.number, both.badge) == (memory.method, memory.number, "proven")
    assert (both.repeats, both.values, both.price) == ("Least memory", "", ())
    assert (memory.repeats, time.repeats) == ("", "")
    assert decided().cards[2].repeats == ""  # another method
