"""What `bench compare` prints of two runs."""

import dataclasses

from ondevice_bench.analyse.compare import compare
from ondevice_bench.report.gate.markdown import markdown
from ondevice_bench.report.gate.of_runs import outcome_of_runs
from ondevice_bench.report.terminal.comparison import (
    comparison_notes,
    comparison_tables,
    reasons,
    worse_lines,
)
from ondevice_bench.terminal import table_text
from tests.record.conftest import CELL
from tests.report import synthetic
from tests.summaries import of_rounds


def test_changes_stand_by_workload_with_short_names_and_the_worst_first(summary_of):
    cells = [*synthetic.cells(8), *synthetic.cells(16)]
    base = synthetic.records(cells)
    factors = {"mcunet/checkpoint/all/b8/s0": 0.5, "mcunet/svd(fraction=0.25)/all/b8/s0": 4.0}
    new = [
        dataclasses.replace(each, metrics={**each.metrics, "step_flops": factor * 1e9})
        if each.key.pass_name == "trace" and (factor := factors.get(each.key.cell))
        else each
        for each in synthetic.records(cells)
    ]
    planned, run = synthetic.planned(cells), synthetic.run_of()
    comparison = compare(summary_of(base, planned, run), summary_of(new, planned, run))
    exact = dataclasses.replace(
        comparison,
        differences=tuple(d for d in comparison.differences if d.metric == "step_flops"),
        only_in_new=("net/vanilla/all/b1/s0",),
    )
    worse, better = comparison_tables(exact, cells)
    assert worse.heading == "regressed: mcunet, batch 8, seed 0"
    assert worse.rows == [("svd fraction=0.25", "step_flops", "2.00 GFLOP", "4.00 GFLOP", "2.00×")]
    assert better.heading == "improved: mcunet, batch 8, seed 0"
    assert [row[0] for row in better.rows] == ["checkpoint"]
    assert reasons(exact) == []
    notes = comparison_notes(exact)
    assert notes[0] == f"only in {run.id}: net/vanilla/all/b1/s0"  # commands need the id
    assert "1 regressed, 1 improved" in notes[-1]
    many = dataclasses.replace(exact, only_in_new=tuple(cell.id for cell in cells))
    assert comparison_notes(many)[0] == f"only in {run.id}: 12 cells, the first is {cells[0].id}"


def test_a_reason_stands_once_below_the_tables_and_no_word_is_cut(summary_of):
    cells = synthetic.cells(8)
    summary = summary_of(synthetic.records(cells), synthetic.planned(cells), synthetic.run_of())
    comparison = compare(summary, summary)
    (table,) = comparison_tables(comparison, cells)
    assert {row[1]: row[-1] for row in table.rows} == {
        "step_seconds": "[1]",
        "peak_rss_over_runtime_bytes": "[2]",
    }
    same = "both sides are the same run, so nothing was measured a second time"
    assert same in comparison_notes(comparison)
    other = dataclasses.replace(summary, run=dataclasses.replace(summary.run, id="other"))
    assert same not in comparison_notes(compare(summary, other))
    first, second = reasons(comparison)
    assert first.startswith("[1] 5 and 5 processes measured it; ")
    assert second.startswith("[2] 3 and 3 processes measured it; ")
    text = table_text(table, 80)
    assert max(map(len, text.splitlines())) <= 80
    assert all(word in text.split() for word in ("peak_rss_over_runtime_bytes", "fraction=0.125"))


def test_rounds_that_failed_are_said_with_their_reason_in_every_form(summary_of):
    base = of_rounds(summary_of, "one", *["ok"] * 3)
    why = "killed because memory ran out"
    comparison = compare(base, of_rounds(summary_of, "two", "ok", "oom", "ok", reason=why))
    line, *_, last = comparison_notes(comparison)
    assert line == (
        f"worse: {CELL.id}: time: 1 of 3 rounds failed (base: 0 of 3 rounds failed): oom: killed "
        "because memory ran out"
    )
    assert "more rounds failed in 1 cell" in last
    assert worse_lines(comparison) == [line]
    found = outcome_of_runs("bench compare", comparison, {"regressed"}, lambda cell, name: None)
    assert found.sentence == "Worse: rounds of 1 cell failed"
    assert "| time | 0 of 3 rounds failed | 1 of 3 rounds failed |  | failed |" in markdown(found)
