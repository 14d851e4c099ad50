from ondevice_bench.record.model import TaskKey
from ondevice_bench.running.budget import Budget


def task(cell, name, number=1):
    return TaskKey(cell, name, number)


def test_a_pass_is_expected_to_scale_with_the_cells_pilot():
    budget = Budget(end=100.0)
    budget.learn(task("a", "pilot"), 1.0)
    budget.learn(task("b", "pilot"), 10.0)
    assert budget.expected(task("a", "memory")) is None  # the first of its kind
    assert budget.affordable([task("a", "memory")], now=99.0)
    budget.learn(task("a", "memory"), 3.0)
    assert budget.expected(task("a", "memory", 2)) == 3.0
    assert budget.expected(task("b", "memory")) == 30.0
    assert budget.affordable([task("b", "memory")], now=60.0)
    assert not budget.affordable([task("b", "memory")], now=80.0)
    assert budget.expected(task("unknown", "memory")) is None


def test_sampling_is_no_part_of_what_a_pass_takes_at_the_least():
    budget = Budget(end=100.0)
    budget.learn(task("a", "pilot"), 1.0)
    budget.learn(task("a", "time"), 9.0, sampled=7.0)
    assert budget.expected(task("a", "time", 2)) == 2.0


def test_a_pass_that_lasts_takes_as_long_as_the_suite_says():
    budget = Budget(end=1000.0, lasting={"sustained": 1200.0})
    assert budget.expected(task("a", "sustained")) == 1200.0
    assert not budget.affordable([task("a", "sustained")], now=0.0)
    assert budget.sampling_seconds([task("a", "sustained"), task("a", "time")], now=0.0) == 0.0


def test_what_is_over_is_shared_by_the_time_passes():
    budget = Budget(end=100.0)
    budget.learn(task("a", "pilot"), 1.0)
    budget.learn(task("b", "pilot"), 1.0)
    budget.learn(task("a", "time"), 2.0)
    budget.learn(task("a", "trace"), 6.0)
    left = [task("b", "time"), task("b", "trace"), task("a", "time", 2)]
    # 90 s are left, of which 2 + 6 + 2 are needed: 80 for two passes of two parts each
    assert budget.sampling_seconds(left, now=10.0) == 20.0
    assert budget.sampling_seconds(left, now=99.0) == 0.0


def test_pilots_and_the_ranks_they_need_come_first():
    order = [("a", "time"), ("a", "calibrate"), ("a", "pilot"), ("b", "memory"), ("b", "pilot")]
    found = Budget(end=10.0).ordered([task(*each) for each in order])
    assert [(each.cell, each.pass_name) for each in found] == [
        ("a", "calibrate"),
        ("a", "pilot"),
        ("b", "pilot"),
        ("a", "time"),
        ("b", "memory"),
    ]
