"""A run as the terminal shows it, at 80 columns and narrower."""

import dataclasses
from pathlib import Path

import pytest

from ondevice_bench import metrics
from ondevice_bench.analyse.gradient import MOMENTS
from ondevice_bench.analyse.learning import learning
from ondevice_bench.api.measured_run import MeasuredRun
from ondevice_bench.errors import ExitCode
from ondevice_bench.record.run_json import RunContent
from ondevice_bench.report.folding import folded, unmeasured_lines
from ondevice_bench.report.sections import verdict as decision
from ondevice_bench.report.sections.section import ReportData
from ondevice_bench.report.terminal.bundle import bundle_line, bundle_row
from ondevice_bench.report.terminal.formats import formatted
from ondevice_bench.report.terminal.run import (
    learning_tables,
    problem_lines,
    run_notes,
    run_tables,
)
from ondevice_bench.report.terminal.verdict import answer_lines, answers_of, verdict_lines
from ondevice_bench.suite.cell import LearningPlan
from ondevice_bench.suite.planned_cell import PlannedCell
from ondevice_bench.terminal import known_width, print_notes, print_tables, table_text, wrapped
from tests.record.conftest import make_record
from tests.report import synthetic

DISTURBED = (
    "disturbed: other programs or a quota took 31 … 90% of a core during the samples. So these "
    "numbers may be too high: their medians have these samples, too. No such process counts for a "
    "proof. Stop other programs and run again"
)


@pytest.fixture
def whole(summary_of):
    cells = synthetic.cells()
    items = synthetic.planned(cells)
    items += [
        PlannedCell(cell, board, "pending", f"pending on {board}")
        for board in ("x86-1core-2g", "pi5-4gb")
        for cell in cells[:4]
    ]
    items += [PlannedCell(cell, "x86", "skipped", "does not go") for cell in synthetic.cells(9)[:3]]
    return summary_of(synthetic.records(cells), items, synthetic.run_of())


def test_at_80_columns_no_name_is_cut(whole):
    (table,) = run_tables(whole)
    lines = table_text(table, 80).splitlines()
    assert max(map(len, lines)) <= 80
    assert lines[0] == "mcunet, batch 8, seed 0"
    starts = [line.strip().split("   ")[0] for line in lines]
    for name in ("vanilla", "asi fraction=0.125", "wasi fraction=0.25", "checkpoint"):
        assert name in starts
    assert "status" not in table.titles  # all of them are ok


@pytest.mark.parametrize("width", [40, 20])
def test_a_narrow_terminal_gets_a_narrow_table(whole, width):
    for table in (*run_tables(whole), *learning_tables(learning(whole))):
        assert max(map(len, table_text(table, width).splitlines())) <= width


def test_the_effect_on_training_has_short_names_too(whole):
    (table,) = learning_tables(learning(whole))
    assert table.heading == "effect on training: mcunet, batch 8, seed 0"
    assert [row[0] for row in table.rows][:3] == [
        "vanilla", "asi fraction=0.125", "asi fraction=0.25",
    ]  # fmt: skip


def test_every_cosine_that_the_goal_judges_has_a_column():
    assert {name for name in MOMENTS if "learning" not in metrics.BY_NAME[name].roles} == set()


def test_seeds_share_a_line_of_the_effect_on_training(summary_of):
    cells = synthetic.cells(seeds=(0, 1))
    run = summary_of(synthetic.records(cells), synthetic.planned(cells), synthetic.run_of())
    (table,) = learning_tables(learning(run))
    assert table.heading == "effect on training: mcunet, batch 8"
    assert [(row[0], row[-1]) for row in table.rows][:2] == [
        ("vanilla", "2"), ("asi fraction=0.125", "2"),
    ]  # fmt: skip


def test_each_workload_has_a_table(summary_of):
    cells = [*synthetic.cells(8), *synthetic.cells(16)]
    run = summary_of(synthetic.records(cells), synthetic.planned(cells), synthetic.run_of())
    assert [table.heading for table in run_tables(run)] == [
        "mcunet, batch 8, seed 0", "mcunet, batch 16, seed 0",
    ]  # fmt: skip


def test_cells_that_are_not_measured_are_one_line_for_each_board_and_reason(whole):
    assert problem_lines(whole) == [
        "skipped: 3 cells: does not go",
        "pending on x86-1core-2g: 4 cells: run this suite there",
        "pending on pi5-4gb: 4 cells: run this suite there",
    ]
    text = formatted([whole], "text")
    assert text.count("pending on pi5-4gb") == 1


def test_one_cell_that_is_not_measured_is_named():
    cell = synthetic.cells()[1]
    assert unmeasured_lines([PlannedCell(cell, "pi5", "pending", "pending on pi5")]) == [
        "pending on pi5: 1 cell: run this suite there"
    ]
    skipped = [PlannedCell(cell, board, "skipped", "no") for board in ("x86", "pi5")]
    assert unmeasured_lines(skipped) == [f"skipped: {cell.id}: no"]


def test_cells_that_failed_have_a_row_and_one_line_for_each_reason(summary_of):
    cells = synthetic.cells()[:3]
    records = [
        make_record(cell=cell, number=1, status=status, reason=reason)
        for cell, status, reason in zip(
            cells,
            ("oom", "failed", "failed"),
            ("no room for 7 MiB", "layer 0.1 is 3 wide", "layer 0.1 is 4 wide"),
            strict=True,
        )
    ]
    run = summary_of(records, synthetic.planned(cells))
    (table,) = run_tables(run)
    assert table.titles[-1] == "status"
    assert [row[-1] for row in table.rows] == ["oom", "failed", "failed"]
    assert problem_lines(run) == [
        "oom: mcunet/vanilla/all/b8/s0: time, round 1: no room for 7 MiB",
        "failed: 2 cells: time, round 1: layer 0.1 is 3 … 4 wide",
    ]


def test_what_workers_skip_is_folded(summary_of):
    cells = synthetic.cells()[:3]
    records = [
        make_record(cell=cell, pass_name=name, status="skipped", reason="no such part")
        for cell in cells
        for name in ("trace", "time")
    ]
    run = summary_of(records, synthetic.planned(cells))
    assert run_tables(run) == []
    assert problem_lines(run) == ["skipped: 3 cells: trace, round 1: no such part"]


def test_the_same_warning_is_one_line_with_the_range_of_its_numbers(summary_of):
    cells = synthetic.cells()[:3]
    records = [
        make_record(
            cell=cell,
            metrics={"step_seconds": 1.0},
            details={"foreign_cpu_share": share, "notes": ["blocks.3.conv: left alone"]},
        )
        for cell, share in zip(cells, (0.54, 0.9, 0.31), strict=True)
    ]
    notes = [n for n in run_notes(summary_of(records, synthetic.planned(cells))) if "caveat" in n]
    calm, *notes = notes
    assert calm.startswith(
        "caveat: this machine while it measured: times of 3 of 3 cells disturbed"
    )
    assert notes == [
        "caveat: 3 cells: time: blocks.3.conv: left alone",
        f"caveat: 3 cells: time: {DISTURBED}",
    ]


def test_texts_with_other_words_stay_apart():
    assert folded("note", [("a", "x 1"), ("b", "y 1"), ("a", "x 2.5")]) == [
        "note: a: x 1 … 2.5",
        "note: b: y 1",
    ]
    apart = [("a", "1,024 bytes"), ("b", "9,024 bytes")]
    assert folded("note", apart) == ["note: a: 1,024 bytes", "note: b: 9,024 bytes"]


def test_the_answer_says_what_to_run_if_memory_is_short_the_third_card_and_which_board(whole):
    title, *lines = answer_lines(answers_of(whole))
    assert title == "answer for mcunet, batch 8:"
    assert len(lines) == 5
    assert lines[0].startswith("- For the goal, run wasi fraction=0.25: 0.520× (0.51")
    assert "of vanilla's step time, proven; peak memory 0.775×" in lines[0]
    assert lines[1].startswith("- If memory is short, run checkpoint: 0.")
    assert lines[2].startswith("- Least memory, 10 % more time allowed: wasi fraction=0.25, 0.775×")
    assert lines[3].startswith(
        "- Estimated by its peak in this run, vanilla fits a board of 1 GB and more: "
    )
    assert lines[4].startswith("- svd fraction=0.25 does not meet the goal: a gradient cosine of ")


def test_a_sentence_of_several_groups_has_the_title_of_its_group(whole):
    (one,) = answers_of(whole)
    assert verdict_lines([one]) == list(one.sentences)
    assert verdict_lines([one, one])[0] == f"{one.title}: {one.sentences[0]}"


def test_a_method_that_loses_accuracy_is_chosen_neither_here_nor_on_the_page(summary_of):
    cells = [
        dataclasses.replace(cell, learning=LearningPlan())
        for cell in synthetic.cells(seeds=(0, 1, 2))
        if cell.method in ("vanilla", "wasi")
    ]
    accuracies = {"vanilla": 0.9, "wasi": 0.8}
    learned = [
        make_record(
            cell=cell, pass_name="learning", metrics={"final_accuracy": accuracies[cell.method]}
        )
        for cell in cells
    ]
    settings = {**synthetic.SETTINGS, "measure": [*synthetic.SETTINGS["measure"], "learning"]}
    summary = summary_of(
        [*synthetic.records(cells), *learned],
        synthetic.planned(cells),
        synthetic.run_of(settings=settings),
    )
    _, cost = answers_of(summary)
    assert cost.sentences[0].startswith("No method meets the goal: wasi")
    assert cost.sentences[0].endswith(": it loses 10.0 points of accuracy (10.0 … 10.0).")
    (decided,) = decision.content(ReportData.from_summaries((summary,)))["decisions"]
    assert {card.badge for card in decided.cards} == {"unknown"}


def test_a_pipe_is_as_wide_as_the_variable_says(whole, monkeypatch, capsys):
    for columns, width in (("80", 80), ("40", 40), ("7", 20)):
        monkeypatch.setenv("COLUMNS", columns)
        print_tables(*run_tables(whole))
        print_notes("a sentence of some words, for a terminal " * 3, "x" * 200)
        *lines, long = capsys.readouterr().out.splitlines()
        assert max(map(len, lines)) <= width
        assert long == "x" * 200  # no word is cut
    for columns in ("", "wide"):
        monkeypatch.setenv("COLUMNS", columns)
        assert known_width() is None
        print_notes("some words " * 50)
        assert len(capsys.readouterr().out.splitlines()) == 1


def test_the_rest_of_a_sentence_is_indented():
    assert wrapped("one two three", 8) == "one two\n  three"
    assert wrapped("one two three", None) == "one two three"


def test_the_line_of_a_bundle_has_the_end_of_a_run_in_utc():
    run = synthetic.run_of(finished="2026-01-01T12:09:30+02:00")
    line = bundle_line(bundle_row(RunContent(run, (), ())))
    assert line.endswith("0 records, finished 2026-01-01 10:09")


def test_a_run_with_numbers_measured_something_although_a_pass_of_each_cell_was_skipped(summary_of):
    cells = synthetic.cells()[:2]
    skipped = [
        make_record(cell=cell, pass_name="learning", status="skipped", reason="no labels")
        for cell in cells
    ]
    summary = summary_of(
        [*synthetic.records(cells), *skipped], synthetic.planned(cells), synthetic.run_of()
    )
    assert set(summary.statuses) == {"skipped"}
    assert MeasuredRun(summary, Path("report.html")).exit_code == ExitCode.OK
    unmeasured = tuple(dataclasses.replace(cell, estimates={}) for cell in summary.cells)
    nothing = dataclasses.replace(summary, cells=unmeasured)
    assert MeasuredRun(nothing, Path("report.html")).exit_code == ExitCode.NOTHING_RAN
