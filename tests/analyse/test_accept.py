"""What of a run can be accepted."""

import pytest

from ondevice_bench.analyse.accept import accepted_of
from ondevice_bench.errors import BadInput
from ondevice_bench.suite.planned_cell import PlannedCell
from tests.record.conftest import CELL, make_record, make_run, planned, timed_records


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


def test_a_time_is_accepted_only_with_so_many_processes_that_a_later_change_is_seen(summary_of):
    def timed(name, values):
        return summary_of(timed_records(name, values), run=make_run(name))

    def accepted(new):
        return accepted_of(base, base.cells[0], "step_seconds", new, by="Ada", because="a head")

    base = timed("a", [1.0, 1.01, 0.99, 1.0])
    with pytest.raises(BadInput, match="1 processes measured it; 4 are needed"):
        accepted(timed("b", [2.0]))
    (found,) = accepted(timed("c", [2.0] * 4))
    assert found.values == (2.0,) * 4
    once = timed("d", [1.0])  # its verdict was inconclusive before, too
    (found,) = accepted_of(
        once, once.cells[0], "step_seconds", timed("e", [2.0]), by="Ada", because="a head"
    )
    assert found.values == (2.0,)


@pytest.mark.parametrize(("unit", "is_accepted"), [("", True), ("u2", False)])
def test_a_time_is_accepted_on_the_machines_on_which_it_is_compared(summary_of, unit, is_accepted):
    """A run that was not measured over ssh knows no unit."""
    machine = make_run().machine
    units = {**machine, "unit": unit} if unit else machine
    run = make_run("a", machine=units)
    base = summary_of(timed_records("a", [1.0]), run=run)
    there = make_run("b", machine={**machine, "unit": "u1"})
    new = summary_of(timed_records("b", [2.0]), run=there)
    if is_accepted:
        (found,) = accepted_of(base, base.cells[0], "step_seconds", new, by="Ada", because="a head")
        assert found.values == (2.0,)
    else:
        with pytest.raises(BadInput, match=r"different machines \(unit\)"):
            accepted_of(base, base.cells[0], "step_seconds", new, by="Ada", because="a head")
