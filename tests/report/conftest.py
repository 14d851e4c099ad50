"""A run of which a page shows everything, and the first screen of a small one."""

import dataclasses

import pytest

from ondevice_bench.analyse.groups import groups
from ondevice_bench.report.decision import decide
from ondevice_bench.suite.goal import Goal
from tests.report import synthetic


@pytest.fixture
def whole(summary_of):
    cells = [*synthetic.cells(8), *synthetic.cells(16)]
    hot = (cell for cell in cells if cell.method == "vanilla")
    records = [*synthetic.records(cells), *map(synthetic.sustained, hot)]
    return summary_of(records, synthetic.planned(cells), synthetic.run_of())


@pytest.fixture
def decided(summary_of):
    """What the first screen says of one group of cells; of several baselines, all decisions."""

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
        summary = summary_of(found, synthetic.planned(chosen), run)
        run = dataclasses.replace(run, machine={**run.machine, "memory_gib": memory_gib})
        (group,) = groups(dataclasses.replace(summary, run=run))
        found = decide(group, run, goal or Goal(), "vanilla", lost, accuracy)
        return found[0] if len(found) == 1 else found

    return of
