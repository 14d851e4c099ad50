"""One cell as the terminal shows it."""

from dataclasses import replace

import pytest

from ondevice_bench import metrics
from ondevice_bench.analyse.again import command_again
from ondevice_bench.analyse.groups import with_baseline
from ondevice_bench.record.origin import PYTEST
from ondevice_bench.report.terminal.cell import basis_lines, cell_lines, cell_table
from ondevice_bench.suite.planned_cell import PlannedCell
from ondevice_bench.terminal import table_text
from tests.record.conftest import CELL, make_record, make_run, planned
from tests.report import synthetic


@pytest.fixture
def whole(summary_of):
    cells = synthetic.cells()
    return summary_of(synthetic.records(cells), synthetic.planned(cells), synthetic.run_of())


def table_of(summary, place):
    return cell_table(with_baseline(summary, summary.cells[place]))


def test_the_most_important_numbers_come_first(whole):
    table = table_of(whole, 1)
    first = [row[0] for row in table.rows]
    assert first[:4] == ["step", "peak memory", "activations", "forward"]
    assert first.index("parameters") < first.index("activations of normalisation")
    assert first.index("activations of normalisation") < first.index("operator traffic")


def test_each_number_has_its_ratio_to_the_baseline_of_the_run(whole):
    table = table_of(whole, 1)
    assert table.titles[3] == "ratio"
    assert [row[3] for row in table.rows[:3]] == ["1.10×", "0.750×", "0.625×"]
    assert "ratio" not in table_of(whole, 0).titles


def test_a_long_basis_is_a_number_that_is_explained_below(whole):
    member = with_baseline(whole, whole.cells[1])
    *_, bases = zip(*cell_table(member).rows, strict=True)
    assert set(bases) == {"exact", "(1)", "(2)", "(3)", "(4)"}
    lines = basis_lines(member)
    assert [line.split()[0] for line in lines] == ["ratio:", "(1)", "(2)", "(3)", "(4)"]
    assert not any(line.endswith(") exact") for line in lines)
    assert basis_lines(with_baseline(whole, whole.cells[1])) == lines


def test_a_cell_without_a_baseline_has_no_ratios(summary_of):
    summary = summary_of([], [PlannedCell(CELL, "pi5", "pending", "pending on pi5")])
    table = table_of(summary, 0)
    assert (table.rows, len(table.titles)) == ([], 5)
    assert table_text(table, 80)


def test_what_is_zero_here_and_for_the_baseline_is_left_out(summary_of):
    vanilla, asi = synthetic.cells()[:2]
    zero = {"method_state_bytes": 0.0, "buffer_bytes": 0.0, "parameter_bytes": 4.0}
    records = [
        make_record(cell=vanilla, pass_name="trace", metrics={**zero, "buffer_bytes": 8.0}),
        make_record(cell=asi, pass_name="trace", metrics=zero),
    ]
    summary = summary_of(records, planned(vanilla, asi))
    assert [row[0] for row in table_of(summary, 1).rows] == ["parameters", "buffers"]


def test_a_board_that_throttles_from_the_beginning_has_a_zero_that_counts(summary_of):
    record = make_record(pass_name="sustained", metrics={"throttled_after_seconds": 0.0})
    assert [row[:2] for row in table_of(summary_of([record]), 0).rows] == [
        ("throttled after", "0.00 s")
    ]


def test_no_two_rows_have_the_same_name(summary_of):
    records = [
        make_record(pass_name=name, metrics=dict.fromkeys(metrics.of_pass(name), 1.0))
        for name in ("time", "trace", "memory")
    ]
    run = make_run(settings={**make_run().settings, "measure": ["time", "trace", "memory"]})
    names = [row[0] for row in table_of(summary_of(records, run=run), 0).rows]
    assert len(set(names)) == len(names)
    assert {"step", "step's own memory", "batch (peak)"} <= set(names)


def test_no_command_measures_a_single_candidate_of_a_search_again():
    run = make_run(command="bench recommend --model mcunet", suite="recommend-mcunet")
    assert command_again(run, CELL) == ""


@pytest.mark.parametrize(
    ("command", "again"),
    [
        ("bench run quick", "bench run quick"),
        ("bench run quick --filter 'a b' --filter=b --json --fresh --open", "bench run quick"),
        ("bench run --model mcunet --budget 2m -q", "bench run --model mcunet -q"),
        ("pytest --benchmark", "bench run quick"),
        ("bench run 'quick", "bench run quick"),
    ],
)
def test_a_command_measures_the_cell_again(command, again):
    wanted = f"{again} --filter mcunet/vanilla/all/b8/s0"
    assert command_again(make_run(command=command), CELL) == wanted


def test_a_further_call_in_a_test_is_measured_by_that_test():
    steps = make_run(origin=PYTEST, suite_text="")
    cell = replace(CELL, model_options=(("test", "test_a.py::test_it[(1)] (2)"),))
    assert command_again(steps, cell) == "pytest 'test_a.py::test_it[(1)]'"


def test_a_pass_that_no_suite_can_name_is_not_recommended(whole):
    lines = cell_lines(whole.cells[0])
    assert any("measure: +NAME" in line for line in lines)
    assert not any("family" in line for line in lines)
    assert "+family" not in whole.cells[0].unavailable["family_step_seconds"]
