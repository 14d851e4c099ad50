"""What of a run can be accepted."""

from dataclasses import replace

import pytest

from ondevice_bench.analyse.accept import accepted_of
from ondevice_bench.analyse.compare import compare
from ondevice_bench.errors import BadInput
from ondevice_bench.record.acceptance import Acceptance
from ondevice_bench.record.run_json import RunContent
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


def test_only_what_a_comparison_of_the_whole_runs_finds_has_regressed(summary_of):
    """Many cells share the confidence, so the interval of each is wider."""
    rounds = [1.0, 1.01, 0.99, 1.005, 0.995, 1.02, 0.98, 1.0]
    cells = [replace(CELL, id=f"{CELL.id}{n}", batch=n + 1) for n in range(88)]

    def timed(name, factor, cells):
        steps = [factor * each for each in rounds]
        records = [record for cell in cells for record in timed_records(name, steps, cell)]
        return summary_of(records, planned(*cells), make_run(name))

    def accepted():
        return accepted_of(base, base.cells[0], "all", new, by="Ada", because="a head")

    base, new = timed("a", 1.0, cells[:1]), timed("b", 1.08, cells[:1])
    assert len(compare(base, new).with_verdict("regressed")) == len(accepted()) == 1
    base, new = timed("a", 1.0, cells), timed("b", 1.08, cells)
    assert compare(base, new).with_verdict("regressed") == ()
    with pytest.raises(BadInput, match=r"no metric of .* regressed"):
        accepted()


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


OTHER_TORCH = {**make_run().software, "torch": "2.99"}


@pytest.mark.parametrize(
    ("metric", "of_run", "of_record", "says"),
    [
        ("step_seconds", {}, {"details": {"unit": "b"}}, "was measured on other boards"),
        ("step_seconds", {}, {"launch": "spawned"}, "its processes were forked in the base"),
        ("forward_live_peak_bytes", {"software": OTHER_TORCH}, {}, "other kernels give other"),
    ],
)
def test_what_a_comparison_leaves_out_cannot_be_accepted(
    summary_of, metric, of_run, of_record, says
):
    def summary(name, value, of_run, of_record):
        what = {"metrics": {metric: value}, "details": {"unit": "a"}, **of_record}
        return summary_of([make_record(name, **what)], run=make_run(name, **of_run))

    base, new = summary("a", 1.0, {}, {}), summary("b", 2.0, of_run, of_record)
    with pytest.raises(BadInput, match=f"{metric} of .* cannot be accepted: .*{says}"):
        accepted_of(base, base.cells[0], metric, new, by="Ada", because="a head")


def test_a_value_is_accepted_in_place_of_the_one_that_was_accepted_before(summary_of):
    """100 in the run, 80 accepted: 80 is nothing new, and with 100 again the line goes."""

    def run_of(name, value):
        return make_record(name, pass_name="trace", metrics={"activation_bytes": value})

    def accepted(name, value):
        new = summary_of([run_of(name, value)], run=make_run(name))
        return accepted_of(base, base.cells[0], "activation_bytes", new, by="Ada", because="why")

    line = Acceptance(CELL.id, "activation_bytes", (80.0,), "Ada", "a smaller head")
    base = replace(summary_of([run_of("a", 100.0)], run=make_run("a")), accepted=(line,))
    with pytest.raises(BadInput, match="is unchanged: nothing to accept"):
        accepted("b", 80.0)
    (found,) = accepted("c", 100.0)
    content = RunContent(make_run("a"), tuple(planned(CELL)), (run_of("a", 100.0),), (line,))
    assert content.accepting(found).accepted == ()
    other = replace(found, values=(90.0,))
    assert content.accepting(other).accepted == (other,)
