from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.run.fitting import LARGEST, Unfit, largest


@dataclass(frozen=True)
class Step:
    peak: int
    flops: float = 0.0


PIECES = st.lists(st.tuples(st.integers(0, 10**6), st.integers(1, 10**4)), min_size=1, max_size=4)


@given(PIECES, st.integers(1, 10**7))
def test_it_is_the_last_batch_within_the_limit(pieces, limit):
    asked = []

    def peak(size):
        return max(start + slope * size for start, slope in pieces)

    def ask(size):
        asked.append(size)
        return Step(peak(size))

    if peak(1) > limit:
        with pytest.raises(Unfit, match="one example needs"):
            largest(ask, limit)
        return
    batch, step, beyond = largest(ask, limit)
    assert step.peak == peak(batch) <= limit
    if beyond is None:
        assert batch == LARGEST
    else:
        assert beyond.peak == peak(batch + 1) > limit
    assert len(asked) < 40


def test_a_few_questions_are_enough_where_peaks_grow_straight():
    asked = []

    def ask(size):
        asked.append(size)
        return Step(700 + 29 * size)

    assert largest(ask, 4096)[0] == (4096 - 700) // 29
    assert len(asked) <= 5
