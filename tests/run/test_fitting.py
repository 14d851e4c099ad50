import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.run.fitting import LARGEST, Unfit, largest

PIECES = st.lists(st.tuples(st.integers(0, 10**6), st.integers(1, 10**4)), min_size=1, max_size=4)


@given(PIECES, st.integers(1, 10**7))
def test_it_is_the_last_batch_within_the_limit(pieces, limit):
    asked = []

    def peak(size):
        return max(start + slope * size for start, slope in pieces)

    def ask(size):
        asked.append(size)
        return peak(size)

    rest, rise = pieces[0]
    if peak(1) > limit:
        with pytest.raises(Unfit, match="one example needs"):
            largest(ask, limit, rise, rest)
        return
    batch, found, beyond = largest(ask, limit, rise, rest)
    assert found == peak(batch) <= limit
    if beyond is None:
        assert batch == LARGEST
    else:
        assert beyond == peak(batch + 1) > limit
    assert len(asked) < 40


def test_a_few_questions_are_enough_where_peaks_grow_straight():
    asked = []

    def ask(size):
        asked.append(size)
        return max(1400, 700 + 29 * size)

    assert largest(ask, 4096, 20.0, 700.0)[0] == (4096 - 700) // 29
    assert len(asked) <= 5
