import pytest

from ondevice_bench.record.model import TaskKey
from ondevice_bench.run.preview import forecast

TASKS = [TaskKey("mine", "memory", 1), TaskKey("mine", "memory", 2), TaskKey("mine", "time", 1)]
OTHERS = {
    ("other", "time"): 8.0,  # a pilot's time times four
    ("other", "memory"): 3.0,
    ("other", "pilot"): 2.0,
}


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
