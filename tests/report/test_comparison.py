"""What `bench compare` prints of two runs."""

import dataclasses

from ondevice_bench.analyse.compare import compare
from ondevice_bench.report.terminal.comparison import comparison_notes, comparison_tables
from tests.report import synthetic


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
    (table,) = comparison_tables(exact, cells)
    assert table.heading == "mcunet, batch 8, seed 0"
    shown = [(row[0], row[1], row[-1]) for row in table.rows]
    assert shown[::-1] == [
        ("checkpoint", "step_flops", "improved"),
        ("svd fraction=0.25", "step_flops", "regressed"),
    ]
    notes = comparison_notes(exact)
    assert notes[0] == f"only in {run.id}: net/vanilla/all/b1/s0"  # commands need the id
    assert "1 regressed, 1 improved" in notes[-1]
