import math
import random
from math import comb, inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ondevice_bench import stats
from ondevice_bench.stats import estimate, median_interval, order_ranks, relative_precision

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


def test_thousands_of_readings_have_ranks_as_well():
    """The normal distribution is close to the binomial one here."""
    for count in (1_030, 2_499, 5_000):
        low, high = order_ranks(count)
        assert low == count - 1 - high
        assert low == pytest.approx(count / 2 - 1.96 * count**0.5 / 2, abs=2)


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


def test_single_readings_of_processes_show_their_range_and_from_six_on_an_interval():
    few = estimate([[3.0], [1.0], [2.0]])
    assert (few.lower, few.estimate, few.upper) == (1.0, 2.0, 3.0)
    assert few.basis == "median of 3 processes, lowest and highest"
    many = estimate([[float(n)] for n in range(9)])
    assert (many.lower, many.upper, many.basis) == (1.0, 7.0, "95 % interval of 9 processes")


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


@pytest.mark.parametrize(
    ("count", "confidence", "cut"),
    [(5, 0.95, None), (6, 0.95, 0), (8, 0.95, 3), (10, 0.95, 8), (7, 0.99, None), (8, 0.99, 0)],
)
def test_the_cut_of_the_signed_ranks_is_that_of_the_tables(count, confidence, cut):
    # the tables give the largest W with P(W <= w) <= 2.5 %: 0, 3, 8 for n = 6, 8, 10
    assert stats._signed_rank_cut(count, confidence) == cut


def test_the_interval_agrees_with_scipys_test():
    """A ratio lies in the interval exactly when the test does not reject it."""
    from scipy.stats import wilcoxon

    draw = random.Random(1)
    base = [draw.lognormvariate(0, 0.1) for _ in range(12)]
    new = [draw.lognormvariate(0.02, 0.1) for _ in range(12)]
    found = stats.change(base, new, 0.02)
    logs = [math.log(b / a) for a, b in zip(base, new, strict=True)]
    for ratio, inside in (
        (found.lower * 1.0001, True),
        (found.upper * 0.9999, True),
        (found.lower * 0.9999, False),
        (found.upper * 1.0001, False),
    ):
        shifted = [log - math.log(ratio) for log in logs]
        assert (wilcoxon(shifted, method="exact").pvalue > 0.05) == inside


def test_a_direction_needs_the_whole_interval():
    base = [1.0, 1.01, 0.99, 1.005, 0.995, 1.002, 0.998, 1.0]
    for factor, direction in ((1.1, "more"), (1 / 1.1, "less"), (1.0, "same"), (1.02, "unknown")):
        new = [value * factor for value in base]
        assert stats.change(base, list(reversed(new)), 0.02).direction == direction
    assert stats.change(base[:4], base[:4], 0.02).direction == "unknown"


def test_a_change_is_the_same_from_either_side():
    base, new = [1.0, 1.1, 0.9, 1.05, 0.95, 1.0], [1.2, 1.1, 1.0, 1.25, 1.15, 1.3]
    there, back = stats.change(base, new, 0.02), stats.change(new, base, 0.02)
    assert there.ratio == pytest.approx(1 / back.ratio)
    assert there.lower == pytest.approx(1 / back.upper)


@pytest.mark.parametrize(
    ("sides", "confidence", "cut"),
    # the critical values of the usual tables: U is significant up to them
    [
        ((3, 3), 0.95, None),
        ((4, 4), 0.95, 0),
        ((5, 5), 0.95, 2),
        ((8, 8), 0.95, 13),
        ((5, 9), 0.95, 7),
        ((8, 8), 0.99, 7),
    ],
)
def test_the_cut_of_the_rank_sums_is_that_of_the_tables(sides, confidence, cut):
    assert stats._rank_sum_cut(*sides, confidence) == cut


@given(st.lists(NUMBERS, min_size=1, max_size=9), st.lists(NUMBERS, min_size=1, max_size=9))
def test_a_shift_agrees_with_scipys_test(base, new):
    from scipy.stats import mannwhitneyu

    every = [*base, *new]
    if len(set(every)) < len(every):
        return  # scipy's exact test is of untied values
    found = stats.shift(base, new, threshold=0.0)
    exact = mannwhitneyu(base, new, method="exact").pvalue
    claims = found.direction in {"less", "more"}
    # an interval that leaves 1 out is a test that rejects it
    assert claims == (exact <= 0.05) or found.lower == 1.0 or found.upper == 1.0


def test_a_shift_is_the_same_from_either_side():
    base, new = [1.0, 1.1, 0.9, 1.05, 0.95, 1.02], [2.0, 2.2, 1.8, 2.1, 1.9, 2.02]
    there, back = stats.shift(base, new, 0.02), stats.shift(new, base, 0.02)
    assert (there.direction, back.direction) == ("more", "less")
    assert there.ratio == pytest.approx(1 / back.ratio)
    assert there.lower == pytest.approx(1 / back.upper)


def test_the_fewest_rounds_are_those_with_an_interval():
    assert stats.fewest_rounds(0.95) == 4
    assert stats.fewest_rounds(0.999) == 7


def test_eight_rounds_are_enough_for_321_comparisons():
    """docs/ci.md says so: 2 of the 12,870 orders of eight and eight are outside the interval."""
    assert [stats.fewest_rounds(1 - 0.05 / claims) for claims in (321, 322)] == [8, 9]


def test_looks_come_after_a_quarter_more_rounds_each():
    assert [n for n in range(60) if stats.is_look(n, 8)] == [8, 10, 12, 15, 18, 22, 27, 33, 41, 51]
    assert [n for n in range(6) if stats.is_look(n, 1)] == [1, 2, 3, 4, 5]


@given(st.integers(1, 12), st.integers(0, 8), st.sampled_from([0.8, 0.95, 0.99]))
def test_more_rounds_are_the_fewest_that_give_an_interval(base, new, confidence):
    def has_interval(count):
        found = stats.shift([1.0] * base, [1.0] * count, 0.02, confidence) if count else None
        return found is not None and found.upper < inf

    more = stats.more_rounds(base, new, confidence)
    assert has_interval(new + more)
    assert more == 0 or not has_interval(new + more - 1)


def test_one_round_needs_as_many_on_the_other_side_as_the_confidence_has_parts():
    assert stats.more_rounds(1, 2, 1 - 0.01 / 50_000) == 2 * 50_000 * 100 - 3
    assert stats.more_rounds(10_000, 10_000, 0.99) == 0


def test_ratios_of_the_smallest_and_largest_numbers_have_an_interval():
    tiny, huge = [5e-324] * 8, [1e300] * 8
    for judge in (stats.change, stats.shift):
        less, more = judge(huge, tiny, 0.01), judge(tiny, huge, 0.01)
        assert (less.ratio, less.direction) == (0.0, "less")
        assert (more.ratio, more.direction) == (math.inf, "more")
