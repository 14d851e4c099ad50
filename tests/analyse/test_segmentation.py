"""Cuts by least squares: the best of all ways to cut, and those of ruptures."""

import itertools
import random
from statistics import fmean

import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ondevice_bench.analyse.segmentation import best_cuts


def total(values, cuts, penalty):
    bounds = [0, *cuts, len(values)]
    pieces = [values[start:end] for start, end in itertools.pairwise(bounds)]
    return sum(penalty + sum((v - fmean(piece)) ** 2 for v in piece) for piece in pieces)


@given(st.lists(st.floats(-10, 10), min_size=1, max_size=9), st.floats(0.1, 50))
def test_no_other_way_to_cut_is_better(values, penalty):
    ways = (
        cuts
        for count in range(len(values))
        for cuts in itertools.combinations(range(1, len(values)), count)
    )
    least = min(total(values, cuts, penalty) for cuts in ways)
    assert total(values, best_cuts(values, penalty), penalty) == pytest.approx(least)


@pytest.mark.parametrize("seed", range(20))
def test_long_sequences_are_cut_where_ruptures_cuts_them(seed):
    ruptures = pytest.importorskip("ruptures", reason="has no release for this Python")
    dice, level, values = random.Random(seed), 0.0, []
    for _ in range(300):
        level += dice.gauss(0, 4) if dice.random() < 0.03 else 0.0
        values.append(level + dice.choice([0.0, dice.gauss(0, 1)]))
    fitted = ruptures.KernelCPD("linear", min_size=1).fit(numpy.array(values).reshape(-1, 1))
    assert [*best_cuts(values, 17.0), 300] == fitted.predict(pen=17.0)


def test_equal_values_stay_together():
    assert best_cuts([0.1] * 1000, 1e-9) == []
    assert best_cuts([0.1], 1.0) == []
