"""The table on training: it names the steps, and leaves out a loss that tells nothing."""

from dataclasses import replace

import pytest

from ondevice_bench import metrics
from ondevice_bench.analyse.learning import learning, learning_groups
from ondevice_bench.report.made_up import about_cosines
from ondevice_bench.report.quantities import learning_metrics
from ondevice_bench.report.sections.learning import SAME, content
from ondevice_bench.report.sections.section import ReportData
from ondevice_bench.report.terminal.run import learning_tables
from tests.record.conftest import CELL, SECOND, make_record, planned


@pytest.fixture
def lines_of(summary_of):
    def make(*values):
        records = [
            make_record(cell=cell, pass_name="fidelity", metrics=found)
            for cell, found in zip((CELL, SECOND), values, strict=False)
        ]
        return learning(summary_of(records, planned(CELL, SECOND)))

    return make


def test_the_terminal_names_the_step_of_each_cosine(lines_of):
    lines = lines_of({"gradient_cosine_first": 0.107, "gradient_cosine": 0.975})
    (table,) = learning_tables(lines)
    assert table.titles == ("method", "cosine at step 1", "cosine at step 10", "seeds")
    for name in ("gradient_cosine", "gradient_error"):
        for moment in ("", "_first", "_original"):
            metric = metrics.BY_NAME[f"{name}{moment}"]
            assert metric.label.partition(" ")[2] in metric.title


@pytest.mark.parametrize(
    ("losses", "shown"),
    [
        ((6.851, 6.849), False),  # both are 6.85
        ((6.851, 6.842), True),
        ((0.0, 0.0), False),
        ((6.851,), True),  # there is nothing to compare it with
    ],
)
def test_a_loss_that_tells_no_cell_from_another_is_left_out(lines_of, losses, shown):
    lines = lines_of(*({"loss_after_steps": loss} for loss in losses))
    names = [metric.name for metric in learning_metrics(lines)]
    assert names == ["loss_after_steps"] * shown


def test_equal_cosines_are_shown(lines_of):
    exact = {"gradient_cosine": 1.0, "loss_after_steps": 6.9}
    assert [metric.name for metric in learning_metrics(lines_of(exact, exact))] == [
        "gradient_cosine"
    ]


def test_lines_have_short_labels_and_seeds_share_one(summary_of):
    cells = [replace(CELL, seed=seed, id=f"tiny/vanilla/all/b2/s{seed}") for seed in (0, 1)]
    records = [
        make_record(cell=cell, pass_name="fidelity", metrics={"gradient_cosine_first": 0.5})
        for cell in cells
    ]
    (group,) = learning_groups(learning(summary_of(records, planned(*cells))))
    assert group.labels == ("vanilla",)
    assert "seed" not in group.heading


@pytest.mark.parametrize(
    ("original", "shown"),
    [(0.9, [["0.900"], ["0.900"]]), (0.5, [["0.900", SAME], ["0.900", "0.500"]])],
)
def test_a_comparison_with_the_network_before_the_method_stands_where_it_differs(
    summary_of, original, shown
):
    records = [
        make_record(
            cell=cell,
            pass_name="fidelity",
            metrics={"gradient_cosine_first": 0.9, "gradient_cosine_original": value},
        )
        for cell, value in ((CELL, 0.9), (SECOND, original))
    ]
    found = content(ReportData.from_summaries((summary_of(records, planned(CELL, SECOND)),)))
    assert [[each.estimate for each in row.quantities] for row in found["rows"]] == shown
    assert (found["has_original"], found["has_seeds"]) == (original != 0.9, False)


@pytest.mark.parametrize(
    ("weights", "data", "start"),
    [
        ("random", "mnist", "The weights are random "),
        ("pretrained", "synthetic(decay=1)", "The data are synthetic "),
        ("random", "synthetic", "The weights are random and the data are synthetic "),
        ("pretrained", "mnist", ""),
    ],
)
def test_cosines_of_made_up_weights_or_data_have_a_warning(weights, data, start):
    text = about_cosines([replace(CELL, weights=weights, data=data)])
    assert text.partition("here: ")[0] == start
