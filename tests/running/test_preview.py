import pytest

from ondevice_bench.protocol.job import PassResult, Reply
from ondevice_bench.record.model import TaskKey
from ondevice_bench.running.hosts.fake import FakeHost
from ondevice_bench.running.preview import forecasts
from ondevice_bench.running.queries.preview import MAX_STEPS, plain_steps
from ondevice_bench.suite.cell import Cell
from ondevice_bench.suite.load import load_suite
from ondevice_bench.suite.planned_cell import PlannedCell

TASKS = [TaskKey("mine", "memory", 1), TaskKey("mine", "memory", 2), TaskKey("mine", "time", 1)]
OTHERS = {
    ("other", "time"): 8.0,  # a pilot's time times four
    ("other", "memory"): 3.0,
    ("other", "pilot"): 2.0,
}


def forecast(tasks, past):
    (one,) = forecasts([tasks], past)
    return one


def test_what_ran_before_is_known():
    known = {("mine", "memory"): 2.0, ("mine", "time"): 5.0}
    assert forecast(TASKS, known) == (9.0, False)


def test_what_had_only_a_pilot_is_estimated_by_the_ratios_of_other_cells():
    seconds, is_estimated = forecast(TASKS, {**OTHERS, ("mine", "pilot"): 1.0})
    assert is_estimated
    assert seconds == pytest.approx(1.5 + 1.5 + 4.0)


def test_a_pass_that_ran_is_not_estimated():
    known = {**OTHERS, ("mine", "pilot"): 1.0, ("mine", "memory"): 7.0}
    assert forecast(TASKS, known) == (pytest.approx(7.0 + 7.0 + 4.0), True)


@pytest.mark.parametrize("known", [{}, OTHERS, {("mine", "pilot"): 1.0}])
def test_what_nothing_tells_of_is_unknown(known):
    assert forecast(TASKS, known) == (None, False)


def test_what_is_not_planned_has_no_time():
    assert forecast([], OTHERS) == (None, False)


def test_a_large_plan_reads_the_past_only_once():
    class Past(dict):
        reads = 0

        def __getitem__(self, key):
            Past.reads += 1
            return super().__getitem__(key)

    known = Past({(f"cell {n}", "pilot"): 1.0 for n in range(100)} | {("other", "time"): 1.0})
    assert len(list(forecasts([TASKS] * 100, known))) == 100
    assert Past.reads == len(known)


def test_of_very_many_different_steps_only_the_first_are_counted():
    counts = {"activation_bytes": 1.0, "step_flops": 1.0, "peak_bytes": 1.0}
    host = FakeHost(lambda job: Reply("ok", result=PassResult(metrics=counts)))
    cells = [PlannedCell(Cell(f"b{n}", "mcunet", "vanilla", n), "x") for n in range(1, 101)]
    steps = plain_steps(host, load_suite("quick"), cells)
    assert len(host.jobs) == MAX_STEPS
    assert [steps[f"b{n}"].activation_bytes for n in (MAX_STEPS, MAX_STEPS + 1)] == [1, None]
    assert steps["b100"].reason == "only 64 different steps are counted"
