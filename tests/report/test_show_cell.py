"""One cell in the terminal: what is there, and why the rest is not."""

from ondevice_bench import metrics
from ondevice_bench.report.terminal.cell import cell_lines
from ondevice_bench.suite.planned_cell import PlannedCell
from tests.record.conftest import CELL, make_record, make_run, planned

WHY = "mine trains other parameters than the weights of these layers"


def test_each_reason_of_missing_metrics_is_a_line_with_their_labels(summary_of):
    reasons = dict.fromkeys(["gradient_cosine", "gradient_error"], WHY)
    record = make_record(
        pass_name="fidelity", metrics={"loss_after_steps": 2.0}, unavailable=reasons
    )
    run = make_run(settings={"measure": ["fidelity"], "rounds": {}})
    summary = summary_of([record], planned(CELL), run)
    lines = [line for line in cell_lines(summary.cells[0]) if line.startswith("not measured: ")]
    assert (
        f"not measured: {'; '.join(metrics.BY_NAME[name].noun for name in reasons)}: {WHY}" in lines
    )
    assert len({line.rpartition(": ")[2] for line in lines}) == len(lines)


def test_a_pending_cell_gives_its_reason_one_time(summary_of):
    summary = summary_of([], [PlannedCell(CELL, "x86", "pending", "pi5 is another board")])
    lines = cell_lines(summary.cells[0])
    assert [line for line in lines if "pi5 is another board" in line] == [
        "problem: pi5 is another board"
    ]


def test_passes_that_were_not_asked_for_share_a_line_with_the_cure(summary_of):
    record = make_record(pass_name="fidelity", metrics={"loss_after_steps": 2.0})
    run = make_run(settings={"measure": ["fidelity"], "rounds": {}})
    lines = cell_lines(summary_of([record], planned(CELL), run).cells[0])
    (not_run,) = [line for line in lines if line.startswith("not run: ")]
    assert "memory, trace" in not_run
    assert not_run.endswith("; to add a pass: `measure: +NAME`")
    assert not any("memory" in line for line in lines if line.startswith("not measured: "))
