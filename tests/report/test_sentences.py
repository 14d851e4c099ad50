"""Each sentence beside a figure follows from the data of the figure."""

import pytest

from ondevice_bench.analyse.groups import groups
from ondevice_bench.report import sentences
from ondevice_bench.report.sections import anatomy, fronts, layers, times
from tests.report import synthetic

TESTED = {
    "front",
    "front of one",
    "front of medians",
    "front of one median",
    "tensors",
    "lowest",
    "lowest unproven",
    "lowest is baseline",
    "cannot tell",
    "largest part",
    "limit",
    "stored",
    "cosine",
    # in test_sustained_section.py
    "slower",
    "faster",
    "steady",
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


def says(section, name, group):
    (plot,) = (plot for plot in section.SECTION.plots if plot.name == name)
    return plot.says(group)


def test_every_sentence_of_the_table_is_tested_here():
    assert set(sentences.SENTENCES) == TESTED


def test_the_front_names_its_cells_from_left_to_right(group):
    assert says(fronts, "memory-time", group) == (
        "The best trade-offs by their medians: checkpoint, asi fraction=0.125, wasi fraction=0.25."
    )
    assert says(fronts, "activations-flops", group) == "checkpoint is the best in both numbers."
    several = sentences.on_the_front(["lean", "asi"], is_exact=True)
    assert several == "The best trade-offs: lean, asi."
    one = sentences.on_the_front(["lean"], is_exact=True)
    assert one == "lean is the best in both numbers."
    one = sentences.on_the_front(["lean"], is_exact=False)
    assert one == "lean has the best medians of both numbers."


def test_memory_says_who_needs_least_and_what_is_largest(group):
    assert says(anatomy, "by-kernel", group) == (
        "checkpoint has the lowest peak memory here: 30.00 MiB, 0.375× of vanilla's.\n"
        "The largest part of vanilla is what the step itself adds: 88 % of the total.\n"
        "vanilla needs the most: 1.0 % of the 7.5 GiB that a step may use here."
    )
    assert says(anatomy, "by-tensors", group).startswith(
        "checkpoint has the fewest bytes of tensors at the peak of a step: "
    )
    assert says(anatomy, "by-tensors", group).endswith(
        "The largest part of vanilla is what unchanged layers stored: 60 % of all that is stored for "
        "backward."
    )


def test_time_says_who_is_fastest_and_which_phase_is_longest(group):
    assert says(times, "step-samples", group) == (
        "wasi fraction=0.25 has the lowest step time here: 52.0 ms, 0.520× of vanilla's."
    )
    assert says(times, "step-phases", group) == (
        "The largest part of vanilla is backward: 55 % of the total."
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
        "The step time of vanilla and of asi fraction=0.125, asi fraction=0.25, wasi "
        "fraction=0.25, svd fraction=0.25 and 1 more cannot be told apart here: the noise is "
        "larger than the difference."
    )


def test_layers_name_the_smallest_share_and_the_worst_cosine(group):
    assert "stores the least: 37.5 % of the inputs of its changed layers, on average." in says(
        layers, "stored-shares", group
    )
    assert says(layers, "layer-cosines", group) == (
        "The worst layer is blocks.0.conv with svd fraction=0.25: a cosine of 0.50 at step 1."
    )
