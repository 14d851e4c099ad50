"""Energy from readings of power, against integrals in closed form."""

import math
from itertools import pairwise

import pytest

from ondevice_bench.measure.power_trace import BadReading, PowerTrace, Stalled


def trace(power, end=20.0, interval=0.1, origin=0.0, delay=0.0):
    """The readings of a power that is a function of our seconds."""
    made = PowerTrace()
    for place in range(round(end / interval) + 1):
        ours = place * interval
        made.add(f"{ours + origin!r} {power(ours)!r}", ours + delay)
    return made


def test_a_constant_power_gives_power_times_time():
    assert trace(lambda _: 5.0).joules(2.03, 12.07) == pytest.approx(5 * 10.04)


def test_a_ramp_gives_its_integral_also_between_readings():
    ramp = trace(lambda t: 2 + 0.5 * t, interval=0.7, end=21.0)
    start, end = 1.23, 17.89
    assert ramp.joules(start, end) == pytest.approx(
        2 * (end - start) + 0.25 * (end**2 - start**2), rel=1e-12
    )


def test_a_wave_gives_its_integral_within_the_error_of_the_trapezoid():
    def wave(t):
        return 4 + 3 * math.sin(2 * math.pi * t / 5)

    start, end, step = 1.0, 18.3, 0.05

    def integral(t):
        return 4 * t - 3 * 5 / (2 * math.pi) * math.cos(2 * math.pi * t / 5)

    bound = (end - start) * step**2 / 12 * 3 * (2 * math.pi / 5) ** 2
    found = trace(wave, interval=step).joules(start, end)
    assert found == pytest.approx(integral(end) - integral(start), abs=2 * bound)


def test_uneven_readings_are_weighted_by_their_time():
    made = PowerTrace()
    for seconds, watts in ((0.0, 10.0), (1.0, 10.0), (1.1, 2.0), (3.1, 2.0)):
        made.add(f"{seconds} {watts}", seconds)
    assert made.joules(0.0, 3.1) == pytest.approx(10 + 0.6 + 4)


@pytest.mark.parametrize("origin", [0.0, -500.0, 1.7e9])
def test_the_clock_of_the_meter_may_begin_anywhere(origin):
    made = trace(lambda t: 1.0 if t < 10 else 3.0, origin=origin)
    assert made.joules(5.0, 9.9) == pytest.approx(4.9, rel=1e-6)
    assert made.joules(10.0, 15.0) == pytest.approx(15.0, rel=1e-6)


def test_lines_that_arrive_late_are_placed_by_the_ones_that_do_not():
    made = PowerTrace()
    for place in range(100):  # a buffer that is emptied once a second
        stamp = place / 10
        made.add(f"{stamp} {1.0 if stamp < 5 else 3.0}", math.floor(stamp) + 0.9)
    assert made.joules(1.0, 4.9) == pytest.approx(3.9)


def test_parts_add_up_to_the_whole():
    made = trace(lambda t: 2 + math.cos(t))
    cuts = [0.5, 1.0, 4.44, 4.45, 13.0, 19.5]
    parts = [made.joules(a, b) for a, b in pairwise(cuts)]
    assert sum(parts) == pytest.approx(made.joules(cuts[0], cuts[-1]))


def test_comments_and_blanks_are_no_readings():
    made = PowerTrace()
    for line in ("# seconds watts", "", "   ", "1 2.5  # first"):
        made.add(line, 0.0)
    assert len(made) == 1


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["time power"], "the meter printed 'time power', not `seconds watts`"),
        (["1.0"], "the meter printed '1.0', not `seconds watts`"),
        (["1 2 3"], "the meter printed '1 2 3', not `seconds watts`"),
        (["1 nan"], "the meter printed '1 nan', which is not a power at one moment"),
        (["1 -2"], "the meter printed '1 -2', which is not a power at one moment"),
        (["2 1", "2 1"], "the meter's seconds do not rise: 2 after 2"),
        (["x" * 900], f"the meter printed '{'x' * 40}', not `seconds watts`"),
    ],
)
def test_nonsense_is_refused_in_one_line(lines, message):
    made = PowerTrace()
    for line in lines[:-1]:
        made.add(line, 0.0)
    with pytest.raises(BadReading) as error:
        made.add(lines[-1], 0.0)
    assert str(error.value) == message


def test_a_hole_in_the_readings_is_a_stall():
    made = PowerTrace()
    for tenth in (*range(50), *range(100, 150)):
        made.add(f"{tenth / 10} 5", tenth / 10)
    assert made.joules(0.0, 4.9) == pytest.approx(24.5)
    with pytest.raises(Stalled, match=r"no reading for 5\.1 s, 3\.9 s after the beginning"):
        made.joules(1.0, 12.0)


def test_a_meter_that_stops_is_a_stall():
    made = trace(lambda _: 5.0, end=4.0)
    with pytest.raises(Stalled, match=r"no reading for 6\.0 s, 4\.0 s after"):
        made.joules(0.0, 10.0)
    with pytest.raises(Stalled, match="gave no reading"):
        PowerTrace().joules(0.0, 1.0)


def test_a_slow_meter_does_not_stall_between_its_readings():
    made = trace(lambda _: 5.0, end=60.0, interval=10.0)
    assert made.joules(3.0, 55.0) == pytest.approx(5 * 52)
    assert made.interval == pytest.approx(10.0)


def test_nothing_but_zero_is_no_power():
    with pytest.raises(Stalled, match="nothing but 0 watts"):
        trace(lambda _: 0.0).joules(1.0, 2.0)


def test_milliseconds_in_place_of_seconds_are_noticed():
    made = PowerTrace()
    for tenth in range(100):
        made.add(f"{tenth * 100} 5", tenth / 10)
    with pytest.raises(Stalled, match=r"counted 9900 seconds while 9\.9 seconds passed"):
        made.joules(0.0, 9.0)


def test_the_interval_and_the_steps_of_a_meter_are_told():
    made = PowerTrace()
    for place in range(11):
        made.add(f"{place / 2} {5 + (place % 3) * 0.025}", place / 2)
    assert made.interval == pytest.approx(0.5)
    assert made.resolution == pytest.approx(0.025)
