"""Steps without pause, on a clock and a board that the test moves."""

import random
from statistics import mean

import pytest

from ondevice_bench.measure.sustained import PATIENCE, sustain
from ondevice_bench.sensors.machine import MachineSensors


class Clock:
    """A clock that only moves when somebody says so."""

    now = 100.0

    def __call__(self):
        return self.now

    def pass_by(self, seconds):
        self.now += seconds


@pytest.fixture
def clock():
    return Clock()


def steps_of(clock, seconds_at):
    """A step that takes so long as the function of the time since the beginning says."""
    began = clock()
    return lambda: clock.pass_by(seconds_at(clock() - began))


def test_all_steps_are_in_the_rows_and_each_row_is_a_second(clock):
    run = sustain(steps_of(clock, lambda _: 0.3), 180.0, dict, clock)
    assert run.steps == 600
    assert run.seconds == pytest.approx(180.0)
    assert {row.steps for row in run.rows} == {4}
    assert all(row.end - row.start == pytest.approx(1.2) for row in run.rows)
    assert all(row.step_seconds == pytest.approx(0.3) for row in run.rows)
    assert [row.start for row in run.rows[1:]] == [row.end for row in run.rows[:-1]]


def test_a_step_longer_than_a_second_is_a_row_of_its_own(clock):
    run = sustain(steps_of(clock, lambda _: 7.0), 150.0, dict, clock)
    assert [row.steps for row in run.rows] == [1] * 22
    assert run.rows[-1].end == pytest.approx(154.0)
    assert len(run.first_minute) == len(run.last_minute) == 8


def test_the_ratio_of_a_board_that_slows_down_is_the_ratio_of_its_steps(clock):
    run = sustain(steps_of(clock, lambda t: 0.2 if t < 90 else 0.262), 300.0, dict, clock)
    assert run.ratios == pytest.approx([1.31] * len(run.ratios))
    assert len(run.ratios) >= 45


def test_the_interval_of_the_ratio_holds_the_truth_in_95_of_100():
    from ondevice_bench.stats import median_interval

    hits = 0
    for seed in range(300):
        noise, clock = random.Random(seed), Clock()

        def seconds(t, noise=noise):
            return (0.3 if t < 61 else 0.36) * noise.lognormvariate(0.0, 0.1)

        low, high = median_interval(sustain(steps_of(clock, seconds), 125.0, dict, clock).ratios)
        hits += low <= 1.2 <= high
    assert hits >= 0.93 * 300


def test_less_than_two_minutes_have_no_ratio(clock):
    assert sustain(steps_of(clock, lambda _: 0.3), 119.0, dict, clock).ratios == []


def test_steps_of_more_than_a_minute_have_no_ratio(clock):
    assert sustain(steps_of(clock, lambda _: 70.0), 300.0, dict, clock).ratios == []


@pytest.mark.parametrize("cost", [0.0, 0.01, 0.2, 3.0])
def test_readings_come_between_steps_and_take_a_twentieth_at_most(clock, cost):
    is_stepping = False

    def step():
        nonlocal is_stepping
        is_stepping = True
        clock.pass_by(0.05)
        is_stepping = False

    def read():
        assert not is_stepping
        clock.pass_by(cost)
        return {}

    run = sustain(step, 600.0, read, clock)
    assert all(row.step_seconds == pytest.approx(0.05) for row in run.rows)
    whole = run.rows[-1].end
    assert whole - run.seconds == pytest.approx(cost * (len(run.rows) - 1))
    # steps follow each reading, PATIENCE times as long; the end may cut those after the last one
    assert whole - run.seconds <= (whole + PATIENCE * cost) / (1 + PATIENCE) + 1e-9
    gaps = [after.end - before.end for before, after in zip(run.rows, run.rows[1:-1], strict=False)]
    assert min(gaps) >= 1.0 - 1e-9


def test_a_hot_pi_is_seen_to_throttle(clock, pi):
    """It heats up; at 4:10 the firmware lowers the clock, and the step gets slower."""
    began = clock()

    def is_hot():
        return clock() - began >= 250.0

    def read():
        since = clock() - began
        pi.hot(min(85.0, 52.0 + 33.0 * since / 250.0))
        pi.clock(1800 if is_hot() else 2400)
        pi.throttling(0x80008 if is_hot() else 0)
        pi.written(int(since) * 16)
        return sensors.read()

    sensors = MachineSensors(range(4), "vcgencmd", pi.root, pi.ask)
    run = sustain(lambda: clock.pass_by(1.31 if is_hot() else 1.0), 600.0, read, clock)
    moment, causes = run.throttled()
    assert moment == pytest.approx(250.0, abs=1.3)
    assert causes == ("soft temperature limit",)
    assert run.ratios == pytest.approx([1.31] * len(run.ratios))
    assert run.highest("celsius") == 85.0
    clocks = run.column("mhz")
    assert (clocks[0], clocks[-1]) == (2400.0, 1800.0)
    heat = run.column("celsius")
    assert heat == sorted(heat)
    assert run.rise("written_bytes") == pytest.approx(600 * 16 * 512, rel=0.01)
    assert sum(run.column("written_bytes")) == run.rise("written_bytes")
    assert run.rise("swapped_bytes") == 0
    assert mean(run.column("swapped_bytes")) == 0
    assert len(run.column("mhz")) == len(run.rows)


def test_a_board_that_is_throttled_from_the_beginning_is_told(clock, pi):
    pi.throttling(0xF0004)
    sensors = MachineSensors([0], "vcgencmd", pi.root, pi.ask)
    run = sustain(steps_of(clock, lambda _: 0.5), 120.0, sensors.read, clock)
    assert run.throttled() == (0.0, ("throttled",))


def test_what_throttled_before_the_beginning_does_not_count(clock, pi):
    pi.throttling(0xF0000)
    sensors = MachineSensors([0], "vcgencmd", pi.root, pi.ask)
    assert sustain(steps_of(clock, lambda _: 0.5), 120.0, sensors.read, clock).throttled() is None


def test_bits_that_the_kernel_clears_count_when_they_are_set_again(clock):
    """The kernel's file has what throttled in the last two seconds, not since the boot."""
    began = clock()

    def read():
        since = clock() - began
        return {"throttle_bits": 0x40000 if since < 2 or 60 <= since < 62 else 0}

    run = sustain(steps_of(clock, lambda _: 0.5), 120.0, read, clock)
    moment, causes = run.throttled()
    assert moment == pytest.approx(60.0, abs=1.5)
    assert causes == ("throttled",)


def test_a_counter_that_is_lost_has_no_rise_and_a_shorter_column(clock, pi):
    def step():
        clock.pass_by(0.5)
        if clock() > 130.0:
            (pi.root / "proc/diskstats").unlink(missing_ok=True)

    sensors = MachineSensors([0], "", pi.root)
    run = sustain(step, 60.0, sensors.read, clock)
    assert run.rise("written_bytes") is None
    assert 0 < len(run.column("written_bytes")) < len(run.rows)
    assert "diskstats cannot be read" in sensors.unavailable["written_bytes"]


def test_reading_this_machine_takes_little(pi):
    import time

    sensors = MachineSensors(range(4), "", pi.root)
    costs = []
    for _ in range(20):
        before = time.process_time()
        sensors.read()
        costs.append(time.process_time() - before)
    assert sorted(costs)[10] < 0.02
