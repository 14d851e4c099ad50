"""Each sentence beside a figure follows from the data of the figure."""

from dataclasses import replace

import pytest

from ondevice_bench import metrics
from ondevice_bench.analyse.groups import groups
from ondevice_bench.report import sentences
from ondevice_bench.report.judge import Judge
from ondevice_bench.report.sections import anatomy, fronts, growth, layers, ranks, roofline, times
from ondevice_bench.stats import Estimate
from ondevice_bench.suite.goal import Goal
from tests.record.conftest import make_record
from tests.report import synthetic

GOAL = Goal()
WORDS = ("mlp", "attention")
TESTED = {
    "front",
    "front of one",
    "front of medians",
    "front of one median",
    "front of none",
    "front of exact",
    "front unknown",
    "front unproven",
    "front all unproven",
    "front some unproven",
    "tensors",
    "lowest",
    "lowest unproven",
    "lowest is baseline",
    "lowest of the goal",
    "no approximate",
    "own axes",
    "beyond tensors",
    "allocator",
    "peak in",  # in test_curve.py
    "cannot tell",
    "largest part",
    "largest parts",
    "limit",
    "stored",
    "same layers",
    "cosine",
    "cosine of all",
    "growth",
    "least growth",
    "rank",
    "roof",
    "roof of baseline",
    # in test_sustained_section.py
    "slower",
    "faster",
    "steady",
    "not slower",
    "unsteady",
    "loading",
    "latency",
}


@pytest.fixture
def group(summary_of):
    cells = synthetic.cells()
    run = synthetic.run_of()
    (found,) = groups(summary_of(synthetic.records(cells), synthetic.planned(cells), run))
    return found


def says(section, name, group, goal=GOAL):
    plots = section.plots(Judge(goal, {})) if hasattr(section, "plots") else section.SECTION.plots
    (plot,) = (plot for plot in plots if plot.name == name)
    return plot.says(group)


def test_every_sentence_of_the_table_is_tested_here():
    assert set(sentences.SENTENCES) == TESTED


def test_the_front_names_its_cells_from_left_to_right(group):
    assert says(fronts, "memory-time", group) == (
        "By the medians, the best trade-offs that meet the goal are checkpoint, asi fraction=0.125 "
        "and wasi fraction=0.25.\n"
        "It is not proven that asi fraction=0.125 and wasi fraction=0.25 differ in peak memory."
    )
    assert says(fronts, "activations-flops", group) == (
        "checkpoint is the best in both numbers of those that meet the goal."
    )
    vanilla, asi, *_ = group.members
    for best, noisy, expected in (
        ((vanilla, asi), (), "The best trade-offs are vanilla and asi fraction=0.125."),
        ((vanilla,), (), "vanilla is the best in both numbers."),
        ((vanilla,), ("step_seconds",), "vanilla has the best medians of both numbers."),
        ((), (), ""),
    ):
        assert sentences.on_the_front(best, noisy) == expected


@pytest.mark.parametrize("name", ["memory-time", "activations-flops", "cosine-time"])
def test_a_front_has_only_cells_that_meet_the_goal(group, name):
    def best(goal):
        return says(fronts, name, group, goal)

    assert "wasi" not in best(Goal(min_cosine=0.96))
    assert "wasi" in says(fronts, "memory-time", group, Goal(min_cosine=0.95))
    assert best(Goal(max_peak_bytes=1)) == "None of these cells meets the goal."
    strict = best(Goal(max_peak_bytes=10**9, min_cosine=0.99, max_slowdown=1.0))
    assert "vanilla" in strict or strict == "No approximate method meets the goal."
    assert "vanilla" not in best(Goal(max_peak_bytes=70 * synthetic.MIB))


def test_one_plot_says_that_no_approximate_method_meets_the_goal(group):
    strict = Goal(min_cosine=0.999)
    assert says(fronts, "cosine-time", group, strict) == "No approximate method meets the goal."
    drawn = [plot.name for plot in fronts.plots(Judge(strict, {})) if plot.draw(group)]
    assert drawn == ["memory-time", "activations-flops", "cosine-time", "own-axes"]


def test_the_lowest_of_all_names_the_lowest_that_meets_the_goal_beside_it(group):
    strict = Goal(min_cosine=0.999)
    assert says(times, "step-samples", group, strict) == (
        "wasi fraction=0.25 (does not meet the goal) has the lowest step time here: 52.0 ms, "
        "0.520× of vanilla's.\n"
        "Of the cells that meet the goal, vanilla has the lowest median step time: 100 ms."
    )
    assert says(layers, "stored-shares", group, strict).endswith(
        "wasi fraction=0.25 and svd fraction=0.25 (do not meet the goal)."
    )


def test_parts_that_are_nearly_as_large_are_all_named(summary_of):
    cells = synthetic.cells()[:1]
    record = make_record(
        cell=cells[0],
        pass_name="trace",
        metrics={"parameter_bytes": 9.5, "batch_bytes": 10.0, "buffer_bytes": 8.0},
    )
    (group,) = groups(summary_of([record], synthetic.planned(cells), synthetic.run_of()))
    names = {"parameter_bytes": "A", "batch_bytes": "B", "buffer_bytes": "C"}
    assert sentences.largest_part(group, tuple(names), names) == (
        "The largest parts of vanilla are B and A: 36 % and 35 % of the total."
    )


def test_what_is_no_tensor_is_said_only_if_it_is_something(group):
    rest = {"vanilla": 2.0 * synthetic.MIB, "checkpoint": 3.0 * synthetic.MIB}
    members = [member for member in group.members if member.label in rest]
    assert sentences.beyond_tensors(members, lambda member: rest[member.label]) == (
        "Beyond these tensors, the peak of the process has from 2.00 MiB (vanilla) to 3.00 MiB "
        "(checkpoint). The allocator may keep a part of this when its tensors are gone. To see "
        "how much, add “allocator: [glibc, glibc-mmap-128k]” to the suite."
    )
    rest["vanilla"] = -1.0
    assert sentences.beyond_tensors(members, lambda member: rest[member.label]) == ""


def test_what_the_allocator_keeps_is_not_asked_if_another_one_was_measured(summary_of):
    cells = [
        replace(cell, id=cell.id.replace("/s0", f"/{name}/s0"), allocator=name)
        for cell in synthetic.cells()
        for name in ("glibc", "glibc-mmap-128k")
    ]
    run = synthetic.run_of()
    (group,) = groups(summary_of(synthetic.records(cells), synthetic.planned(cells), run))
    assert "Beyond these tensors" in says(anatomy, "by-tensors", group)
    assert "allocator" not in says(anatomy, "by-tensors", group)


def test_an_exact_method_that_is_the_lowest_is_no_trade_off(summary_of, group):
    assert says(fronts, "cosine-memory", group) == (
        "By the medians, no approximate method that meets the goal has a lower peak memory than "
        "checkpoint, which is exact."
    )
    few = [r for r in synthetic.records(synthetic.cells()) if r.key.round == 1]
    planned = synthetic.planned(synthetic.cells())
    (group,) = groups(summary_of(few, planned, synthetic.run_of()))
    assert says(fronts, "cosine-memory", group).endswith("the noise hides which is lower.")


def test_a_front_says_what_is_not_known_and_what_noise_may_hide(summary_of, group):
    cells = synthetic.cells()
    few = [
        record
        for record in synthetic.records(cells)
        if record.key.pass_name != "fidelity" and record.key.round == 1
    ]
    (noisy,) = groups(summary_of(few, synthetic.planned(cells), synthetic.run_of()))
    assert says(fronts, "memory-time", noisy).split("\n")[1:] == [
        "The effect of asi fraction=0.125 and wasi fraction=0.25 on the gradient is not known.",
        "It is not proven that neighbours on the grey line differ in peak memory and step time.",
    ]
    _, asi, _, wasi, svd, checkpoint = group.members
    found = sentences.on_the_front((checkpoint, asi, wasi, svd), ["peak_rss_over_runtime_bytes"])
    assert found.endswith(
        "It is not proven that these neighbours on the grey line differ in peak memory: asi "
        "fraction=0.125 and wasi fraction=0.25; wasi fraction=0.25 and svd fraction=0.25."
    )


def test_memory_says_who_needs_least_and_what_is_largest(group):
    assert says(anatomy, "by-kernel", group) == (
        "checkpoint has the lowest peak memory here: 30.00 MiB, 0.375× of vanilla's.\n"
        "The largest part of vanilla is what the step itself adds: 88 % of the total.\n"
        "The highest peak memory is 1.0 % of the 7.5 GiB that a step may use here."
    )
    assert says(anatomy, "by-tensors", group).startswith(
        "checkpoint has the fewest bytes of tensors at the peak of a step: "
    )
    assert says(anatomy, "by-tensors", group).endswith(
        "The largest part of vanilla is what linear/conv layers stored: 60 % of all that "
        "is stored for backward.\n"
        "Beyond these tensors, the peak of the process has from 18.80 MiB (checkpoint) to "
        "28.00 MiB (vanilla). The allocator may keep a part of this when its tensors are gone. To "
        "see how much, add “allocator: [glibc, glibc-mmap-128k]” to the suite."
    )


def test_time_says_who_is_fastest_and_which_phase_is_longest(group):
    assert says(times, "step-samples", group) == (
        "wasi fraction=0.25 has the lowest step time here: 52.0 ms, 0.520× of vanilla's."
    )
    assert says(times, "step-phases", group) == (
        "The largest part of vanilla is backward: 55 % of the sum of the phases."
    )


def test_a_lowest_value_that_is_not_proven_has_no_change(summary_of):
    cells = synthetic.cells()
    records = [each for each in synthetic.records(cells) if each.key.round == 1]
    (group,) = groups(summary_of(records, synthetic.planned(cells), synthetic.run_of()))
    assert says(times, "step-samples", group) == (
        "wasi fraction=0.25 has the lowest step time here: 51.8 ms. This is not proven."
    )


def test_the_baseline_may_be_the_lowest(summary_of):
    cells = synthetic.cells()
    slower = {"wasi": 9.0, "svd": 9.0}
    records = synthetic.records(cells, slower=slower)
    (group,) = groups(summary_of(records, synthetic.planned(cells), synthetic.run_of()))
    assert says(times, "step-samples", group) == "vanilla has the lowest step time here: 100 ms."


def test_a_lowest_baseline_that_noise_hides_is_no_winner(summary_of):
    cells = synthetic.cells()
    records = synthetic.records(cells, slower={"wasi": 9.0, "svd": 9.0})
    few = [each for each in records if each.key.round == 1]
    (group,) = groups(summary_of(few, synthetic.planned(cells), synthetic.run_of()))
    assert says(times, "step-samples", group) == (
        "It is not proven that vanilla has a lower step time than asi fraction=0.125, asi "
        "fraction=0.25, wasi fraction=0.25, svd fraction=0.25 and 1 more."
    )


def test_a_number_that_is_too_noisy_may_be_below_the_baseline(summary_of):
    cells = synthetic.cells()[:2]
    readings = [(1.0, 1.01, 1.0, 0.99, 1.0), (1.02, 0.4, 2.0, 1.05, 1.03)]
    records = [
        make_record(cell=cell, number=number, metrics={}, samples={"step_seconds": [value]})
        for cell, values in zip(cells, readings, strict=True)
        for number, value in enumerate(values, 1)
    ]
    (group,) = groups(summary_of(records, synthetic.planned(cells), synthetic.run_of()))
    assert sentences.lowest(group, "step_seconds", Judge(GOAL, {})) == (
        "It is not proven that vanilla has a lower step time than asi fraction=0.125."
    )


def test_layers_name_the_smallest_share_and_the_worst_cosine(group):
    assert says(layers, "stored-shares", group) == (
        "The smallest stored share is 37.5 % of the inputs of the changed layers: asi "
        "fraction=0.125, asi fraction=0.25, wasi fraction=0.25 and svd fraction=0.25 (does not meet the "
        "goal)."
    )
    assert says(layers, "layer-cosines", group) == (
        "The lowest cosine of a single layer is 0.50: blocks.0.conv with svd fraction=0.25."
    )


# all numbers are the lowest of three moments: those of the layers are -0.4, 0.5 and 0.89, or 0.95
@pytest.mark.parametrize(("original", "below"), [(0.89, 3), (0.97, 2)])
def test_the_worst_layer_stands_beside_all_layers_of_its_cell_on_the_map(
    summary_of, original, below
):
    cells = synthetic.cells()
    moments = {
        "_first": (-0.4, 0.5, 0.95),
        "_after": (0.99, 0.99, 0.99),
        "_original": (0.9, 0.9, original),
    }
    layers_at = {
        moment: {"abc"[at]: {"cosine": each, "error": 0.1} for at, each in enumerate(values)}
        for moment, values in moments.items()
    }
    whole = {
        "gradient_cosine_first": 0.97,
        "gradient_cosine": 0.98,
        "gradient_cosine_original": 0.60,
    }
    records = [
        replace(each, metrics=whole, details={"layers": layers_at})
        if each.key.pass_name == "fidelity" and "svd" in each.key.cell
        else each
        for each in synthetic.records(cells)
    ]
    (group,) = groups(summary_of(records, synthetic.planned(cells), synthetic.run_of()))
    assert says(layers, "layer-cosines", group) == (
        "The lowest cosine of a single layer is -0.40: a with svd fraction=0.25.\n"
        f"Below 0.9 are {below} of its 3 layers. Together they have 0.60: layers with large "
        "gradients count most."
    )


@pytest.fixture
def two_batches(summary_of):
    """Batch 16 takes twice as much of everything, but checkpoint keeps only half more."""
    cells = [*synthetic.cells(8), *synthetic.cells(16)]
    records = synthetic.records(cells)
    for record in records:
        if "activation_bytes" in record.metrics and "checkpoint/all/b16" in record.key.cell:
            record.metrics["activation_bytes"] *= 0.75
    return groups(summary_of(records, synthetic.planned(cells), synthetic.run_of()))


def test_growth_says_how_much_more_a_larger_batch_takes(two_batches, group):
    for each in two_batches:
        assert says(growth, "growth-peak", each) == (
            "At batch 16, vanilla has 2.00× (1.98× … 2.02×) the median peak memory of batch 8."
        )
        assert says(growth, "growth-activations", each) == (
            "At batch 16, vanilla has 2.00× the activation bytes of batch 8.\n"
            "The least growth: checkpoint, 1.50×."
        )
    assert says(growth, "growth-step", group) == ""


def test_growth_joins_no_two_choices_of_layers(summary_of):
    """Labels leave out the usual layers of a batch, so one label may mean two choices."""
    chosen = [
        [vanilla, replace(asi, layers=layers, id=asi.id.replace("/all/", f"/{layers}/"))]
        for (vanilla, asi, *_), layers in zip(map(synthetic.cells, (8, 16)), WORDS, strict=True)
    ]
    cells = [cell for of_batch in chosen for cell in of_batch]
    (group, _) = groups(
        summary_of(synthetic.records(cells), synthetic.planned(cells), synthetic.run_of())
    )
    assert [m.full_label for m in group.all_batches[1::2]] == ["asi fraction=0.125"] * 2
    figure = growth.SECTION.plots[1].draw(group).plain()
    assert [trace["name"] for trace in figure["data"]] == ["vanilla"]


def test_growth_says_nothing_of_numbers_that_are_too_noisy_or_have_no_ratio():
    step = metrics.BY_NAME["step_seconds"]
    for ratio in (Estimate(2.0, 0.1, 9.0, "median"), None):
        assert sentences.growth({"asi": sentences.Growth(8, 16, ratio)}, step) == ""


def test_growth_never_compares_the_boards_of_a_fleet(summary_of):
    cells = [*synthetic.cells(8), *synthetic.cells(16)]
    records = [
        replace(each, details={**each.details, "unit": "ab"["/b16/" in each.key.cell]})
        for each in synthetic.records(cells)
    ]
    (_, group) = groups(summary_of(records, synthetic.planned(cells), synthetic.run_of()))
    assert says(growth, "growth-step", group) == says(growth, "growth-peak", group) == ""
    assert "2.00× the activation bytes" in says(growth, "growth-activations", group)


def test_ranks_say_what_the_lowest_and_the_highest_give(group):
    assert says(ranks, "rank-step", group) == (
        "asi: median step time 1.10× at fraction 0.125, 1.30× at fraction 0.25."
    )
    assert says(ranks, "rank-activations", group) == (
        "asi: activation bytes 0.625× at fraction 0.125, 0.750× at fraction 0.25."
    )
    assert says(ranks, "rank-cosine", group) == (
        "asi: lowest gradient cosine 0.90 at fraction 0.125, 0.97 at fraction 0.25."
    )


def test_a_rank_that_is_too_noisy_has_no_sentence(summary_of):
    cells = synthetic.cells()
    records = synthetic.records(cells)
    for record in records:
        if "asi(fraction=0.25)" in record.key.cell and record.key.pass_name == "time":
            pace = 10.0**record.key.round
            record.metrics["step_seconds"] = pace
            record.samples["step_seconds"][:] = [pace] * 9
    (group,) = groups(summary_of(records, synthetic.planned(cells), synthetic.run_of()))
    assert says(ranks, "rank-step", group) == ""
    assert says(ranks, "rank-peak", group) != ""


def test_the_roof_names_who_comes_nearest_and_the_baseline(group):
    # the roof is 10 GB/s at 5 FLOPs per byte: 50 GFLOP/s; wasi takes 2 GFLOP in 52 ms
    assert says(roofline, "roofline", group) == (
        "By the median step times, wasi fraction=0.25 comes nearest to the roof: 77 % of it.\n"
        "vanilla reaches 40 %."
    )


def test_the_lowest_names_the_cells_that_may_be_as_low(summary_of):
    cells = synthetic.cells()
    records = synthetic.records(cells, slower={"svd": 0.75})  # 52.5 ms beside 52.0
    (group,) = groups(summary_of(records, synthetic.planned(cells), synthetic.run_of()))
    assert says(times, "step-samples", group) == (
        "wasi fraction=0.25 has the lowest step time here: 52.0 ms, 0.520× of vanilla's. "
        "svd fraction=0.25 may be as low: the noise hides which is lower."
    )


def test_the_lowest_names_its_own_baseline(summary_of):
    whole = synthetic.cells()[:2]
    frozen = [
        replace(cell, layers="last:4", id=cell.id.replace("/all/", "/last:4/")) for cell in whole
    ]
    records = synthetic.records(whole)
    for record in synthetic.records(frozen):
        if record.key.pass_name == "memory":
            record.metrics["peak_rss_over_runtime_bytes"] /= 4
        records.append(record)
    cells = [*whole, *frozen]
    (group,) = groups(summary_of(records, synthetic.planned(cells), synthetic.run_of()))
    assert says(anatomy, "by-kernel", group).startswith(
        "asi fraction=0.125 · last:4 has the lowest peak memory here: 15.00 MiB, 0.750× of "
        "vanilla · last:4's."
    )


def test_a_large_layer_counts_more_than_a_small_one_and_equal_layers_are_compared(summary_of):
    cells = synthetic.cells()[:4]
    large = {"shape": [8, 16, 8, 8], "stored_elements": 8192}  # all of it
    small = {"shape": [8, 16, 2, 2], "stored_elements": 51}  # a tenth
    treated = {"asi": {"a": large, "b": small}, "wasi": {"b": small}}
    records = [
        make_record(cell=cell, pass_name="trace", details={"treated": treated.get(cell.method, {})})
        for cell in cells
    ]
    (group,) = groups(
        summary_of(records, synthetic.planned(cells), synthetic.run_of()),
        is_member=lambda cell: True,
    )
    assert says(layers, "stored-shares", group) == (
        "The smallest stored share is 94.7 % of the inputs of the changed layers: asi "
        "fraction=0.125 and asi fraction=0.25.\n"
        "Compared: asi fraction=0.125 and asi fraction=0.25. They change the same layers, and the "
        "others do not."
    )
