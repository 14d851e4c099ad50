from hypothesis import given
from hypothesis import strategies as st

from ondevice_bench.analyse.pareto import front

POINTS = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), max_size=12)


@given(POINTS)
def test_what_is_beaten_is_beaten_by_a_point_of_the_front(points):
    best = front(points)
    chosen = [point for point, is_best in zip(points, best, strict=True) if is_best]
    for point, is_best in zip(points, best, strict=True):
        beaten = [p for p in chosen if p != point and p[0] <= point[0] and p[1] <= point[1]]
        assert bool(beaten) != is_best


def test_equals_stay_together():
    assert front([(1, 2), (1, 2), (2, 2)]) == (True, True, False)
