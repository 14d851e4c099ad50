"""Steps in readings that are drawn: what is found, where, and what is not."""

import math
import random

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from ondevice_bench.analyse.change_points import MOST, find_change_points

SURE = 1 - 0.01 / 40


def drawn(seed, count=40, sd=0.01, at=None, by=0.0):
    dice = random.Random(seed)
    place = count if at is None else at
    return [(1 + by * (i >= place)) * dice.lognormvariate(0, sd) for i in range(count)]


def test_equal_readings_have_no_step():
    assert find_change_points([3.0] * 50, 0.02, SURE) == ()


@given(st.integers(1, 60), st.floats(1e-9, 1e9))
def test_whatever_their_number_and_size(count, value):
    assert find_change_points([value] * count, 0.02, SURE) == ()


def test_noise_alone_is_hardly_ever_a_step():
    claims = [
        step for seed in range(100) for step in find_change_points(drawn(seed, sd=0.03), 0.02, SURE)
    ]
    assert sum(step.kind != "pending" for step in claims) <= 1


@given(st.integers(0, 10**6), st.integers(10, 30), st.sampled_from([0.7, 0.9, 1.1, 1.5]))
def test_a_large_step_is_found_at_its_place(seed, at, ratio):
    found = find_change_points(drawn(seed, sd=0.005, at=at, by=ratio - 1), 0.02, SURE)
    (step,) = (each for each in found if each.kind == "stepped")
    assert step.place == at
    assert step.lower <= step.ratio <= step.upper
    assert abs(math.log(step.ratio / ratio)) < 0.01


@given(st.integers(0, 1000), st.floats(1e-6, 1e6))
def test_the_unit_does_not_matter(seed, unit):
    readings = drawn(seed, at=20, by=0.1)
    mine = find_change_points(readings, 0.02, SURE)
    theirs = find_change_points([unit * value for value in readings], 0.02, SURE)
    assert [(s.kind, s.place) for s in mine] == [(s.kind, s.place) for s in theirs]


def test_up_and_down_again_are_two_steps():
    readings = drawn(1, 60)
    bump = [1.2 if 20 <= place < 40 else 1.0 for place in range(60)]
    found = find_change_points([a * b for a, b in zip(readings, bump, strict=True)], 0.02, SURE)
    assert [(step.place, step.ratio > 1) for step in found] == [(20, True), (40, False)]


@pytest.mark.parametrize("place", [3, 20, 36])
def test_one_outlier_is_no_step_and_hides_none(place):
    readings = drawn(2)
    readings[place] *= 3
    assert [s.kind for s in find_change_points(readings, 0.02, SURE) if s.kind == "stepped"] == []
    later = drawn(2, 60, at=40, by=0.1)
    later[place] *= 3
    assert [s.place for s in find_change_points(later, 0.02, SURE) if s.kind == "stepped"] == [40]


def test_a_change_of_the_latest_readings_waits_for_more():
    readings = drawn(3, 32, at=30, by=0.3)
    (step,) = find_change_points(readings, 0.02, SURE)
    assert (step.kind, step.place, step.lower) == ("pending", 30, None)
    # all orders of 30 before and 2 + n after: two of them are as extreme
    orders = [2 / math.comb(32 + n, 30) for n in range(10)]
    assert step.needs == next(n for n, share in enumerate(orders) if share <= 1 - SURE)
    (later,) = find_change_points(drawn(3, 32 + step.needs, at=30, by=0.3), 0.02, SURE)
    assert (later.kind, later.place) == ("stepped", 30)


@pytest.mark.parametrize("whole", [0.1, 0.3, -0.2])
def test_a_drift_is_said_to_have_no_place(whole):
    dice = random.Random(4)
    readings = [math.exp(whole * i / 39) * dice.lognormvariate(0, 0.005) for i in range(40)]
    found = [step for step in find_change_points(readings, 0.02, SURE) if step.kind != "pending"]
    assert [step.kind for step in found] == ["drifts"]
    assert abs(math.log(found[0].ratio) - whole) < 0.03


def test_less_than_the_threshold_is_nothing():
    readings = drawn(5, 60, sd=0.001, at=30, by=0.015)
    assert find_change_points(readings, 0.02, SURE) == ()
    assert [step.kind for step in find_change_points(readings, 0.01, SURE)] == ["stepped"]


@given(st.lists(st.floats(1e-100, 1e100), max_size=25))
def test_any_readings_have_an_answer(readings):
    assume(all(value > 0 for value in readings))
    for step in find_change_points(readings, 0.02, SURE):
        assert 0 <= step.place < len(readings)


def test_readings_that_jump_all_the_time_are_looked_at_in_pieces_that_can_be_judged():
    dice = random.Random(6)
    levels = [dice.lognormvariate(0, 1) for _ in range(25)]
    readings = [levels[place // 12] * (1 + place % 3 / 1000) for place in range(300)]
    found = find_change_points(readings, 0.02, SURE)
    assert 0 < len(found) <= MOST
    assert {step.place % 12 for step in found if step.kind == "stepped"} == {0}
