from math import comb, inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.stats import estimate, median_interval, order_ranks, relative_precision

NUMBERS = st.floats(0.001, 1000, allow_nan=False)


@given(st.integers(6, 200))
def test_order_ranks_cover_the_median_with_95_percent_and_no_narrower_pair_does(count):
    low, high = order_ranks(count)
    assert high == count - 1 - low

    def coverage(k):  # P(x_(k) <= median <= x_(n-1-k)), counted from the definition
        inside = sum(comb(count, wins) for wins in range(k + 1, count - k))
        return inside / 2**count

    assert coverage(low) >= 0.95
    assert coverage(low + 1) < 0.95


@pytest.mark.parametrize("count", range(6))
def test_five_samples_are_too_few_for_an_interval(count):
    assert order_ranks(count) is None
    assert median_interval([1.0] * count) is None


@given(st.lists(NUMBERS, min_size=6, max_size=50))
def test_the_interval_encloses_the_median_and_is_made_of_samples(samples):
    found = estimate([samples])
    assert found.lower <= found.estimate <= found.upper
    assert {found.lower, found.upper} <= set(samples)


@given(st.lists(st.lists(NUMBERS, min_size=1, max_size=12), min_size=2, max_size=6))
def test_several_rounds_give_an_envelope_that_holds_every_rounds_median(rounds):
    found = estimate(rounds)
    medians = [estimate([samples]).estimate for samples in rounds]
    assert found.lower <= min(medians)
    assert max(medians) <= found.upper
    assert found.lower <= found.estimate <= found.upper
    assert str(len(rounds)) in found.basis


def test_one_process_with_one_reading_has_no_interval_and_says_why():
    found = estimate([[7.0]])
    assert (found.estimate, found.lower, found.upper) == (7.0, None, None)
    assert "one process" in found.basis


def test_precision_is_the_wider_half_of_the_interval_over_the_median():
    samples = [1.0, 2.0, 10.0, 10.0, 10.0, 10.0, 10.0, 12.0]
    assert median_interval(samples) == (1.0, 12.0) or median_interval(samples) == (2.0, 10.0)
    low, high = median_interval(samples)
    assert relative_precision(samples) == max(10 - low, high - 10) / 10
    assert relative_precision([1.0, 1.0]) == inf
    assert relative_precision([]) == inf
