"""The first screen: the table to decide from, and what it says of the run."""

import dataclasses

import pytest

from ondevice_bench.analyse.groups import groups
from ondevice_bench.report.decision import decide
from ondevice_bench.report.gauge import beyond
from ondevice_bench.report.method_words import about_methods
from ondevice_bench.report.quantities import Quantity
from ondevice_bench.stats import Estimate
from ondevice_bench.suite.cell import Train
from ondevice_bench.suite.goal import Goal
from tests.record.conftest import make_record
from tests.report import synthetic


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
    (found,) = decide(group, run, Goal(), "vanilla")
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
    assert found.has_uncompressed


def test_a_method_that_keeps_the_weights_has_no_cosine_with_the_network_before_it(decided):
    cells = [cell for cell in synthetic.cells() if cell.method in ("vanilla", "svd")]
    cosines = {
        "gradient_cosine_first": 0.5,
        "gradient_cosine": 0.6,
        "gradient_cosine_original": 0.5,
    }
    records = [
        dataclasses.replace(each, metrics=cosines) if each.key.pass_name == "fidelity" else each
        for each in synthetic.records(cells)
    ]
    found = decided(cells=cells, records=records)
    assert found.methods[1][0].gradient.interval == "step 1: 0.50, step 10: 0.60"
    assert not found.has_uncompressed


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
    assert found.order == "vanilla; then the other methods, the lowest step time first"
    assert decided().order == (
        "vanilla; then the methods that meet the goal, the lowest step time first; then the others"
    )
    assert decided(cells=synthetic.cells()[:2]).order == ""


def test_colours_say_only_what_is_proven(decided):
    rows = {row.label: row for method in decided().methods for row in method}
    peak, step, activations = rows["checkpoint"].gauges[:3]
    assert (peak.tone, step.tone, activations.tone) == ("good", "bad", "good")
    assert all(gauge.bar is None for gauge in rows["vanilla"].gauges)


def test_a_bar_begins_at_one_and_equal_factors_are_equally_wide(decided):
    rows = {row.label: row for method in decided().methods for row in method}
    activations = rows["checkpoint"].gauges[2]  # 0.15 times: beyond the end of the bar
    assert (activations.bar.left, activations.bar.width) == (0.0, 50.0)
    assert activations.beyond == ("less",)
    step = rows["wasi fraction=0.25"].gauges[1]
    assert step.bar.left + step.bar.width == 50.0
    assert step.beyond == ()
    assert step.whisker.left < step.bar.left < step.whisker.left + step.whisker.width


@pytest.mark.parametrize(
    ("lower", "estimate", "upper", "ends"),
    [
        (0.25, 1.0, 4.0, ()),
        (0.9, 3.9, 4.1, ("more",)),
        (0.2, 0.5, 0.7, ("less",)),
        (0.1, 1.0, 5.0, ("less", "more")),
        (None, 5.0, None, ("more",)),
    ],
)
def test_an_arrow_says_where_a_number_or_its_interval_goes_on(lower, estimate, upper, ends):
    assert beyond(Estimate(estimate, lower, upper, "")) == ends


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


def test_a_cell_that_was_measured_too_shortly_is_marked(decided):
    cells = synthetic.cells()[:2]
    reached = {"asked": 0.1, "reached": 0.2, "ended_by": "max_seconds"}
    records = [
        make_record(cell=cell, metrics={"step_seconds": 1.0}, details=details)
        for cell, details in zip(cells, ({}, {"precision": reached}), strict=True)
    ]
    found = decided(cells=cells, records=records)
    assert [row.is_imprecise for rows in found.methods for row in rows] == [False, True]
    assert not found.are_all_imprecise


@pytest.mark.parametrize("count", [1, 2])
def test_what_is_true_of_all_rows_is_said_once(decided, count):
    cells = synthetic.cells()[:count]
    details = {"precision": {"asked": 0.1, "reached": 0.2, "ended_by": "max_seconds"}}
    records = [
        make_record(cell=cell, metrics={"step_seconds": 1.0}, details=details) for cell in cells
    ]
    assert decided(cells=cells, records=records).are_all_imprecise == (count > 1)


def test_the_meaning_of_proven_has_the_thresholds(decided):
    meaning = dict(decided().badges)["proven"]
    assert "by more than the noise (peak memory 8 %, step time 5 %)" in meaning


def test_the_page_says_what_an_exact_gradient_does_not_cover(decided):
    found = decided()
    assert found.has_exact
    assert found.about_exact == (
        "Batch-norm, where the network has it, is frozen in this run, also in plain training."
    )
    cells = synthetic.cells()[:2]
    sliced = dataclasses.replace(
        cells[1], method="microbatch", method_options=(), id="mcunet/microbatch/all/b8/s0"
    )
    records = [make_record(cell=cell, metrics={"step_seconds": 1.0}) for cell in (cells[0], sliced)]
    found = decided(cells=[cells[0], sliced], records=records)
    assert "each slice of microbatch has its own statistics" in found.about_exact
    trains = [dataclasses.replace(cell, train=Train(freeze_bn=False)) for cell in cells]
    assert decided(cells=trains).about_exact == ""


def test_a_training_that_other_programs_disturbed_says_nothing_of_the_step_time(decided):
    cells = synthetic.cells()[:2]
    records = [make_record(cell=cell, metrics={"step_seconds": 1.0}) for cell in cells]
    records.append(
        make_record(cell=cells[1], pass_name="learning", details={"foreign_cpu_share": 0.9})
    )
    found = decided(cells=cells, records=records)
    assert not any(row.is_disturbed for rows in found.methods for row in rows)


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
    ((quick,), *_) = decided(data="digits", slower={"vanilla": 0.002}).methods
    assert quick.pace == "an epoch takes 36.0 ms"
    endless = decided()
    assert endless.epoch == "The time of an epoch is not known: synthetic data has no end."
    rows = {row.label: row for rows in endless.methods for row in rows}
    assert rows["vanilla"].pace == "80.0 examples/s"  # 8 in 100 ms


@pytest.mark.parametrize("data", ["digits", "synthetic"])
@pytest.mark.parametrize("steps", [[0.1, 0.2, 0.3, 1.0, 1.1, 1.2], [0.0]])
def test_a_step_that_is_too_noisy_to_use_or_zero_gives_no_pace(decided, steps, data):
    cell = dataclasses.replace(synthetic.cells()[0], data=data)
    found = decided(
        cells=[cell], records=[make_record(cell=cell, samples={"step_seconds": steps})], data=data
    )
    assert found.methods[0][0].pace == ""


def test_an_energy_that_is_too_noisy_to_use_is_no_part_of_the_pace(decided):
    cell = dataclasses.replace(synthetic.cells()[0], data="digits")
    records = [make_record(cell=cell, samples={"step_seconds": [0.1] * 6})]
    records += [
        make_record(cell=cell, pass_name="energy", number=number, metrics={"step_joules": joules})
        for number, joules in enumerate((1.0, 9.0), 1)
    ]
    assert decided(cells=[cell], records=records, data="digits").methods[0][0].pace == (
        "an epoch takes 0:18"
    )


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
    default, found = decided(cells=[*plain, *other])
    rows = {row.label: row for each in (default, found) for rows in each.methods for row in rows}
    assert rows["asi fraction=0.125"].beside == ""
    beside = rows["asi fraction=0.125 · tcmalloc"].beside
    assert beside.startswith("1.10× (")
    assert " of the step time and 0.750× (" in beside
    assert beside.endswith("of the peak memory of vanilla")


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
    for what in ({"dtype": "bfloat16"}, {"train": Train(optimizer="adam")}):
        other = [dataclasses.replace(cell, **what) for cell in synthetic.cells()]
        assert decided(cells=other).fit == ""


def test_each_baseline_has_cards_and_a_table_of_its_own(decided):
    cells = synthetic.cells()[:2]
    frozen = [
        dataclasses.replace(cell, layers="last:4", id=cell.id.replace("/all/", "/last:4/"))
        for cell in cells
    ]
    whole, last = decided(cells=[*cells, *frozen], records=synthetic.records([*cells, *frozen]))
    assert whole.title == "mcunet, batch 8, compared with vanilla"
    assert last.title == "mcunet, batch 8, compared with vanilla · last:4"
    assert last.cards[0].of == "of vanilla · last:4's peak memory"
    assert [row.label for rows in last.methods for row in rows] == [
        "vanilla · last:4",
        "asi fraction=0.125 · last:4",
    ]


def test_an_epoch_is_known_although_the_baseline_ran_out_of_memory(decided):
    vanilla, asi = (dataclasses.replace(cell, data="digits") for cell in synthetic.cells()[:2])
    records = [
        make_record(cell=vanilla, pass_name="trace", metrics={"activation_bytes": 9.0}),
        make_record(cell=vanilla, status="oom", reason="step: could not allocate 9 MiB"),
        *synthetic.records([asi]),
    ]
    found = decided(cells=[vanilla, asi], records=records, data="digits")
    assert found.epoch.startswith("An epoch is 180 steps over 1,437 examples.")
    assert found.cards[1].missing == (
        "vanilla has no step time, so no method can be chosen by it: time, round 1: oom: step: "
        "could not allocate 9 MiB."
    )


@pytest.mark.parametrize(("cosine", "shown"), [(0.9999, "exact"), (0.5, "0.50")])
def test_a_method_that_promises_the_exact_gradient_is_judged_by_the_measured_one(
    decided, cosine, shown
):
    cells = [cell for cell in synthetic.cells() if cell.method in ("vanilla", "checkpoint")]
    records = [each for each in synthetic.records(cells) if each.key.pass_name != "fidelity"]
    records.append(
        make_record(cell=cells[1], pass_name="fidelity", metrics={"gradient_cosine_first": cosine})
    )
    found = decided(cells=cells, records=records)
    (row,) = found.methods[1]
    assert row.gradient.estimate == shown
    assert row.is_gradient_low == (shown != "exact")
    assert ("the lowest measured cosine is >0.999" in row.gradient.meaning) == (shown == "exact")
    assert (found.cards[0].method == "checkpoint") == (shown == "exact")


def test_the_methods_and_options_of_a_page_are_explained(decided):
    cells = synthetic.cells()
    found = decided(cells=[cells[0], cells[2], cells[3]])  # vanilla and two with fraction=0.25
    assert [each.name for each in found.about] == ["vanilla", "asi", "wasi"]
    assert all(each.title for each in found.about)
    meaning = "share of the largest rank that a mode allows"
    assert [dict(each.options) for each in found.about] == [{}, *[{"fraction": meaning}] * 2]
    assert (found.shared, found.about_shared) == ("fraction=0.25", f"fraction: {meaning}")
    own = dataclasses.replace(cells[2], method="mine.py:Mine@12345678+lean")
    assert [each.name for each in about_methods([own])] == ["mine.py:Mine", "lean"]
