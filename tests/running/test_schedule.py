import time

from hypothesis import given
from hypothesis import strategies as st

from ondevice_bench.record.model import TaskKey
from ondevice_bench.running.schedule import Forecast, TimeLeft, left_to_do, schedule

CELLS = st.lists(st.text("abc/", min_size=1, max_size=5), min_size=1, max_size=8, unique=True)
PASSES = st.lists(st.sampled_from(["memory", "trace", "time"]), min_size=1, unique=True)
ROUNDS = st.fixed_dictionaries(dict.fromkeys(["memory", "time"], st.integers(1, 5)))
ONE, TWO = {"time": 1}, {"time": 2}


@given(CELLS, PASSES, ROUNDS, st.text(max_size=4))
def test_every_process_comes_exactly_once_round_by_round(cells, passes, rounds, seed):
    tasks = schedule(dict.fromkeys(cells, passes), rounds, seed)
    assert len(tasks) == len(set(tasks))
    assert set(tasks) == {
        TaskKey(cell, name, number)
        for cell in cells
        for name in passes
        for number in range(1, (1 if name == "trace" else rounds[name]) + 1)
    }
    assert [task.round for task in tasks] == sorted(task.round for task in tasks)


@given(CELLS, st.text(max_size=4))
def test_the_order_comes_from_the_seed(cells, seed):
    timed = {cell: ["time"] for cell in cells}
    assert schedule(timed, TWO, seed) == schedule(timed, TWO, seed)


def test_rounds_have_orders_of_their_own():
    cells = [f"cell{n}" for n in range(20)]
    tasks = schedule({cell: ["time"] for cell in cells}, TWO, "seed")
    first, second = [[t.cell for t in tasks if t.round == n] for n in (1, 2)]
    assert first != cells
    assert first != second
    assert first != [
        t.cell for t in schedule({cell: ["time"] for cell in cells}, ONE, "other seed")
    ]


def test_what_has_a_record_is_done_unless_it_is_to_be_repeated():
    one, two, three = tasks = schedule({cell: ["time"] for cell in ["a", "b", "c"]}, ONE, "")
    statuses = {one: "ok", two: "failed"}
    assert left_to_do(tasks, statuses) == (three,)
    assert left_to_do(tasks, statuses, {"failed"}) == (two, three)
    assert left_to_do(tasks, dict.fromkeys(tasks, "ok")) == ()


def test_the_forecast_is_unknown_at_first_and_then_takes_the_nearest_kin():
    forecast = Forecast()
    small, big = TaskKey("small/a", "time", 1), TaskKey("big/a", "time", 1)
    assert forecast.left([small]) is None
    assert forecast.left([]) == TimeLeft(0.0, is_exact=True)
    forecast.learn(small, 2.0)
    assert forecast.left([big]) == TimeLeft(2.0, is_exact=False)  # the only kin there is
    forecast.learn(big, 10.0)
    other_seed = [TaskKey("big/a/s1", "time", 1), TaskKey("small/b", "time", 2)]
    assert forecast.left(other_seed).seconds == 12.0
    assert forecast.left([TaskKey("big/x", "memory", 1)]).seconds == 6.0
    assert forecast.left(other_seed, budget=5.0).seconds == 5.0


def test_a_pass_that_lasts_takes_what_the_suite_asks_for_and_teaches_nothing():
    forecast = Forecast(lasting={"sustained": 1200.0})
    long, short = TaskKey("a", "sustained", 1), TaskKey("a", "time", 1)
    assert forecast.left([long]) == TimeLeft(1200.0, is_exact=True)
    forecast.learn(long, 1203.0)
    assert forecast.left([short]) is None
    forecast.learn(short, 2.0)
    assert forecast.left([long, short]).seconds == 1202.0


def test_the_forecast_says_whether_every_workload_is_known():
    forecast = Forecast()
    forecast.learn(TaskKey("m/vanilla/all/b8/s0", "time", 1), 2.0)
    assert forecast.left([TaskKey("m/vanilla/all/b8/s7", "time", 2)]).is_exact
    assert not forecast.left([TaskKey("m/vanilla/all/b32/s0", "time", 1)]).is_exact
    assert not forecast.left([TaskKey("m/vanilla/all/b8/s0", "memory", 1)]).is_exact


def test_the_time_left_of_a_long_run_takes_no_time_itself():
    """A session asks after each process, and the desk of a fleet all the time."""
    tasks = [TaskKey(f"m/vanilla/all/b8/s{seed}", "time", 1) for seed in range(4_000)]
    forecast = Forecast()
    for task in tasks[::2]:
        forecast.learn(task, 2.0)
    began = time.process_time()
    assert forecast.left(tasks[1::2]) == TimeLeft(4_000.0, is_exact=True)
    assert time.process_time() - began < 0.3


def test_where_ranks_are_chosen_again_all_that_used_them_is_repeated():
    tasks = schedule({"a": ["calibrate", "time"], "b": ["calibrate", "time"]}, TWO, "")
    assert [t.round for t in tasks if t.pass_name == "calibrate"] == [1, 1]
    for cell in "ab":
        mine = [t.pass_name for t in tasks if t.cell == cell]
        assert mine == ["calibrate", "time", "time"]
    statuses = {t: "failed" if t.pass_name == "calibrate" else "skipped" for t in tasks}
    statuses |= {t: "ok" for t in tasks if t.cell == "b"}
    assert left_to_do(tasks, statuses) == ()
    assert left_to_do(tasks, statuses, {"failed"}) == tuple(t for t in tasks if t.cell == "a")


def test_where_a_learning_rate_is_chosen_again_so_is_what_uses_it():
    trace, rate, learning = (
        TaskKey("a", name, 1) for name in ("trace", "learning_rate", "learning")
    )
    statuses = {trace: "ok", rate: "failed", learning: "skipped"}
    assert left_to_do((trace, rate, learning), statuses, {"failed"}) == (rate, learning)


@given(st.permutations(["calibrate", "learning_rate", "trace", "learning"]))
def test_what_was_skipped_before_its_ranks_or_its_rate_were_chosen_is_left(order):
    """`statuses` has the order in which records were stored."""
    tasks = [TaskKey("a", name, 1) for name in order]
    choosing = {"calibrate", "learning_rate"}
    statuses = {task: "ok" if task.pass_name in choosing else "skipped" for task in tasks}
    place = {name: order.index(name) for name in order}
    expected = {
        "trace": place["trace"] < place["calibrate"],
        "learning": place["learning"] < max(place["calibrate"], place["learning_rate"]),
    }
    assert {task.pass_name for task in left_to_do(tasks, statuses)} == {
        name for name, is_left in expected.items() if is_left
    }
