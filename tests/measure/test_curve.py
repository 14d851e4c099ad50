"""The curve of resident memory, from samples that are given."""

import time

import pytest

from ondevice_bench.measure.curve import Curve

SAMPLES = [(1000.0, 10.0), (1000.5, 30.0), (1001.0, 20.0)]


@pytest.fixture
def wall(monkeypatch):
    """A wall clock that the test sets; the steady clock goes on with it, except for a jump."""

    class Clocks:
        now = 1000.0
        jump = 0.0

    monkeypatch.setattr(time, "time", lambda: Clocks.now + Clocks.jump)
    monkeypatch.setattr(time, "perf_counter", lambda: Clocks.now)
    return Clocks


def curve(wall, jump):
    found = Curve(samples=SAMPLES)
    found.mark("forward")
    wall.now, wall.jump = 1000.75, jump
    found.mark("end")
    return found.to_dict()


def test_samples_and_marks_are_on_one_clock(wall):
    drawn = curve(wall, 0.0)
    assert drawn["seconds"] == [0.0, 0.5, 1.0]
    assert drawn["rss_bytes"] == [10, 30, 20]
    assert drawn["marks"] == [["forward", 0.0], ["end", 0.75]]


@pytest.mark.parametrize("jump", [3600.0, -0.2])
def test_a_clock_that_is_set_meanwhile_gives_no_curve(wall, jump):
    """A board without a clock of its own gets the time from the network, some minutes late."""
    assert curve(wall, jump) == {
        "unavailable": "the clock of the machine was set during the measurement"
    }
