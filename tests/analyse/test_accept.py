"""What of a run can be accepted."""

from ondevice_bench.analyse.accept import accepted_of
from ondevice_bench.suite.planned_cell import PlannedCell
from tests.record.conftest import CELL, make_record, make_run, planned


def test_a_change_can_be_accepted_even_if_the_same_cell_waits_for_another_board(summary_of):
    plan = [*planned(CELL), PlannedCell(CELL, "pi5", "pending", "pending on pi5")]
    base, new = (
        summary_of(
            [make_record(name, pass_name="trace", metrics={"activation_bytes": value})],
            plan,
            make_run(name),
        )
        for name, value in (("a", 1.0), ("b", 2.0))
    )
    (found,) = accepted_of(base, base.cells[0], "all", new, by="Ada", because="a second head")
    assert (found.cell, found.metric, found.values) == (CELL.id, "activation_bytes", (2.0,))
