"""A treemap's areas are the sizes, and its parts fill the map without overlap."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ondevice_bench.report.treemap import treemap

WIDTH, HEIGHT = 1000.0, 300.0
SIZES = st.lists(st.integers(1, 10**9), min_size=1, max_size=60).map(
    lambda sizes: sorted(sizes, reverse=True)
)


@given(SIZES)
def test_areas_are_proportional_to_sizes(sizes):
    parts = treemap(sizes, WIDTH, HEIGHT)
    for size, part in zip(sizes, parts, strict=True):
        share = part.width * part.height / (WIDTH * HEIGHT)
        assert share == pytest.approx(size / sum(sizes), rel=1e-6, abs=1e-12)


@given(SIZES)
def test_parts_lie_on_the_map_and_do_not_overlap(sizes):
    parts = treemap(sizes, WIDTH, HEIGHT)
    slack = 1e-6
    for part in parts:
        assert part.x >= -slack
        assert part.y >= -slack
        assert part.x + part.width <= WIDTH + slack
        assert part.y + part.height <= HEIGHT + slack
    for one, other in itertools.combinations(parts, 2):
        across = min(one.x + one.width, other.x + other.width) - max(one.x, other.x)
        up = min(one.y + one.height, other.y + other.height) - max(one.y, other.y)
        assert across <= slack or up <= slack


def test_equal_sizes_are_nearly_square():
    assert all(0.5 <= p.width / p.height <= 2 for p in treemap([1.0] * 12, WIDTH, HEIGHT))
