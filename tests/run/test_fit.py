import pytest
from hypothesis import given
from hypothesis import strategies as st

from ondevice_bench.protocol.job import Reply
from ondevice_bench.run.queries.fit import LARGEST, Unfit, edge, largest

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


@given(st.integers(1, 2000), st.integers(0, 2000))
def test_what_really_fits_is_looked_for_below_an_edge_that_fails(batch, limit):
    asked = []

    def run(size):
        asked.append(size)
        return Reply("ok" if size <= limit else "oom")

    found = {size: reply.status for size, reply in edge(run, batch).items()}
    if limit >= batch:
        assert list(found) == [batch, batch + 1]
    else:
        assert found[max(found)] == "oom"
        fits = min(found) if len(found) == 2 else 0
        assert fits <= limit < max(found)
        assert max(found) - fits <= max(1, batch // 20)
        assert len(asked) <= 7


def test_a_failure_that_is_no_lack_of_memory_ends_the_search():
    replies = {8: Reply("failed", "a reason")}
    assert edge(replies.__getitem__, 8) == replies
