"""The first screen: cards and the table to decide from."""

import dataclasses
import re

import pytest

from ondevice_bench.analyse.groups import groups
from ondevice_bench.report.decision import decide
from ondevice_bench.report.quantities import Quantity
from ondevice_bench.suite.goal import Goal
from tests.record.conftest import make_record
from tests.report import synthetic


@pytest.fixture
def decided(summary_of):
    def of(
        goal=None,
        cells=None,
        records=None,
        memory_gib=4,
        data="synthetic",
        lost=None,
        accuracy=None,
        **what,
    ):
        chosen = cells if cells is not None else synthetic.cells()
        chosen = [dataclasses.replace(cell, data=data) for cell in chosen]
        found = synthetic.records(chosen, **what) if records is None else records
        run = synthetic.run_of()
        run = dataclasses.replace(run, machine={**run.machine, "memory_gib": memory_gib})
        summary = summary_of(found, synthetic.planned(chosen), run)
        (group,) = groups(summary)
        return decide(group, run, goal or Goal(), "vanilla", lost, accuracy)

    return of


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
        "Least memory, at most 10 % slower",
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
    *_, both = decided(cells=cells, records=wide).cards
    assert (both.method, both.badge) == ("wasi fraction=0.25", "not proven yet")
    assert both.missing.startswith("Its step may take up to 2.")
    assert both.missing.endswith("as long as vanilla's. Use a quieter machine and run again")


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


def test_a_card_without_a_winner_names_those_that_noise_hides(decided):
    slower = synthetic.records(synthetic.cells(), slower={"wasi": 3.0, "svd": 3.0})
    few = [record for record in slower if record.key.round == 1]
    _, time, _ = decided(records=few).cards
    assert (time.number, time.badge) == ("?", "undecided")
    assert time.method == "vanilla or asi fraction=0.125, asi fraction=0.25 and 2 more"
    assert time.missing == (
        "These cannot be told apart: only one process measured each side. "
        "Set `rounds: {time: 5}` and run again"
    )


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
    assert (time.number, time.badge) == ("0.500×", "not proven yet")
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


def test_the_lowest_cosine_of_all_moments_counts(summary_of):
    cells = synthetic.cells()
    records = [
        dataclasses.replace(
            record,
            metrics={
                "gradient_cosine_first": 0.107,
                "gradient_cosine": 0.975,
                "gradient_cosine_original": 0.047,
            },
        )
        if record.key.pass_name == "fidelity" and record.key.cell.startswith("mcunet/wasi")
        else record
        for record in synthetic.records(cells)
    ]
    run = synthetic.run_of()
    (group,) = groups(summary_of(records, synthetic.planned(cells), run))
    found = decide(group, run, Goal(), "vanilla")
    (wasi,) = (row for rows in found.methods for row in rows if row.label.startswith("wasi"))
    assert (wasi.gradient.estimate, wasi.gradient.interval) == (
        "0.05",
        "step 1: 0.11, step 10: 0.97, uncompressed: 0.05",
    )
    assert (
        "0.11 at step 1; 0.97 at step 10; 0.05 at step 1, against the unc" in wasi.gradient.meaning
    )
    assert wasi.refusal.endswith(
        "0.05 at step 1, against the uncompressed network, but the goal asks for at least 0.9"
    )
    assert "wasi" not in found.cards[1].method


def test_the_baseline_is_first_then_the_best_and_ranks_stand_together(decided):
    found = decided(Goal(min_cosine=0.0))
    labels = [[row.label for row in rows] for rows in found.methods]
    assert labels == [
        ["vanilla"],
        ["wasi fraction=0.25"],
        ["svd fraction=0.25"],
        ["asi fraction=0.125", "asi fraction=0.25"],
        ["checkpoint"],
    ]
    assert found.methods[0][0].is_baseline


def test_colours_say_only_what_is_proven(decided):
    rows = {row.label: row for method in decided().methods for row in method}
    peak, step, activations = rows["checkpoint"].gauges[:3]
    assert (peak.tone, step.tone, activations.tone) == ("good", "bad", "good")
    assert all(gauge.bar is None for gauge in rows["vanilla"].gauges)


def test_a_bar_begins_at_one_and_equal_factors_are_equally_wide(decided):
    rows = {row.label: row for method in decided().methods for row in method}
    activations = rows["checkpoint"].gauges[2]  # 0.15 times: beyond the end of the bar
    assert (activations.bar.left, activations.bar.width) == (0.0, 50.0)
    assert activations.beyond == "less"
    step = rows["wasi fraction=0.25"].gauges[1]
    assert step.bar.left + step.bar.width == 50.0
    assert step.beyond == ""
    assert step.whisker.left < step.bar.left < step.whisker.left + step.whisker.width


def test_an_interval_without_use_is_noisy(decided):
    cells = synthetic.cells()[:2]
    records = [
        make_record(
            cell=cell,
            number=number,
            metrics={"step_seconds": pace},
            samples={"step_seconds": [pace, pace * spread]},
        )
        for cell, pace, spread in zip(cells, (1.0, 0.9), (1.01, 90.0), strict=True)
        for number in range(1, 6)
    ]
    rows = {r.label: r for rows in decided(cells=cells, records=records).methods for r in rows}
    gauge = rows["asi fraction=0.125"].gauges[1]
    assert gauge.tone == "noisy"
    assert gauge.quantity.is_noisy
    assert gauge.quantity.meaning.endswith("; too noisy to use")


def test_a_step_time_that_other_programs_disturbed_is_marked(decided):
    cells = synthetic.cells()[:2]
    records = [
        make_record(cell=cell, metrics={"step_seconds": 1.0}, details={"foreign_cpu_share": share})
        for cell, share in zip(cells, (0.0, 0.9), strict=True)
    ]
    found = decided(cells=cells, records=records)
    rows = {row.label: row.is_disturbed for rows in found.methods for row in rows}
    assert rows == {"vanilla": False, "asi fraction=0.125": True}


def test_a_training_that_other_programs_disturbed_says_nothing_of_the_step_time(decided):
    cells = synthetic.cells()[:2]
    records = [make_record(cell=cell, metrics={"step_seconds": 1.0}) for cell in cells]
    records.append(
        make_record(cell=cells[1], pass_name="learning", details={"foreign_cpu_share": 0.9})
    )
    found = decided(cells=cells, records=records)
    assert not any(row.is_disturbed for rows in found.methods for row in rows)


def test_a_number_that_is_too_noisy_makes_no_winner(decided):
    cells = synthetic.cells()[:2]
    records = [
        make_record(cell=cell, metrics={"step_seconds": middle}, samples={"step_seconds": samples})
        for cell, middle, samples in zip(
            cells, (1.0, 0.8), ([1.0] * 6, [0.05, *[0.8] * 4, 9.0]), strict=True
        )
    ]
    _, time, _ = decided(cells=cells, records=records).cards
    assert (time.number, time.badge) == ("?", "undecided")
    assert time.method == "vanilla or asi fraction=0.125"


def test_without_a_known_memory_no_share_is_made_up(decided):
    found = decided(memory_gib=None)
    assert found.cards[0].values.count("%") == 0
    assert all(row.share == "" for rows in found.methods for row in rows)


def test_a_run_of_the_baseline_alone_decides_nothing(decided):
    found = decided(cells=synthetic.cells()[:1])
    assert {card.badge for card in found.cards} == {"unknown"}
    assert {card.missing for card in found.cards} == {
        "Only vanilla was measured, so there is nothing to compare it with."
    }
    assert found.no_answer == "Only vanilla was measured, so there is nothing to compare it with."
    assert decided().no_answer == ""


def test_an_epoch_has_a_time_where_the_data_has_an_end(decided):
    found = decided(data="digits")
    assert found.epoch.startswith("An epoch is 180 steps over 1,437 examples.")
    rows = {row.label: row for rows in found.methods for row in rows}
    assert rows["vanilla"].pace == "an epoch takes 0:18"  # 180 steps of 100 ms
    endless = decided()
    assert endless.epoch == "The time of an epoch is not known: synthetic data has no end."
    rows = {row.label: row for rows in endless.methods for row in rows}
    assert rows["vanilla"].pace == "80.0 examples/s"  # 8 in 100 ms


def test_a_decision_names_what_its_seed_leaves_out(decided):
    cells = synthetic.cells(seeds=(3, 5))
    missing = {("svd", 3), ("wasi", 5)}
    found = decided(cells=[each for each in cells if (each.method, each.seed) not in missing])
    assert found.seed.endswith("Not measured with seed 3: mcunet/svd(fraction=0.25)/all/b8/s5.")


def test_a_decision_is_about_one_seed_and_says_so(decided):
    found = decided(cells=synthetic.cells(seeds=(3, 5)))
    labels = [row.label for rows in found.methods for row in rows]
    assert len(labels) == len(synthetic.METHODS)
    assert not any("seed" in label for label in labels)
    assert found.cards[0].method == "checkpoint"
    assert found.seed.startswith("All numbers are of seed 3, here and in the plots.")
    assert decided().seed == ""


def test_a_cell_under_another_allocator_stands_beside_the_default_one_too(decided):
    plain = synthetic.cells()[:2]
    other = [
        dataclasses.replace(cell, allocator="tcmalloc", id=cell.id.replace("/s0", "/tcmalloc/s0"))
        for cell in plain
    ]
    rows = {row.label: row for rows in decided(cells=[*plain, *other]).methods for row in rows}
    assert rows["asi fraction=0.125"].beside == ""
    beside = rows["asi fraction=0.125 · tcmalloc"].beside
    assert beside.startswith("1.10× (")
    assert " of the step time and 0.750× (" in beside
    assert beside.endswith("of the peak memory of vanilla")


def test_a_card_with_the_answer_of_the_first_one_has_only_what_is_new(decided):
    cells = [cell for cell in synthetic.cells() if cell.method in ("vanilla", "wasi")]
    memory, time, both = decided(cells=cells).cards
    assert (both.method, both.number, both.badge) == (memory.method, memory.number, "proven")
    assert (both.repeats, both.values, both.price) == ("Least memory", "", ())
    assert (memory.repeats, time.repeats) == ("", "")
    assert decided().cards[2].repeats == ""  # another method


def test_the_gradient_has_a_column_only_if_one_is_known(decided):
    every = synthetic.records(synthetic.cells())
    cells = [cell for cell in synthetic.cells() if cell.method != "checkpoint"]
    records = [
        record
        for record in every
        if record.key.pass_name != "fidelity" and "checkpoint" not in record.key.cell
    ]
    assert decided().has_gradients
    assert not decided(cells=cells, records=records).has_gradients


def test_the_accuracy_of_trained_cells_has_a_column(decided):
    quantity = Quantity("72.8 %", "−3.2 points, −6.0 … −2.8", "accuracy", 0.728)
    found = decided(accuracy={synthetic.cells()[1].id: quantity})
    rows = {row.label: row for rows in found.methods for row in rows}
    assert found.has_accuracy
    assert rows["asi fraction=0.125"].accuracy == quantity
    assert rows["vanilla"].accuracy is None
    assert not decided().has_accuracy


def test_the_command_for_another_board_is_only_for_a_model_that_a_name_is_enough_for(decided):
    assert decided().fit == "bench fit --model mcunet --batch 8 --board pi5-2gb"
    layer = [
        dataclasses.replace(cell, model="conv2d(8, 8, 3) at 12x16") for cell in synthetic.cells()
    ]
    assert decided(cells=layer).fit == ""
