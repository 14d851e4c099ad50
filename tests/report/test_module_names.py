"""A short name means one module. In a box, it has as many lines as it needs."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ondevice_bench.report.module_names import in_lines, short_names

NAMES = st.lists(st.sampled_from(["a", "b", "0", "1", "x_y"]), min_size=1, max_size=5)


@settings(max_examples=25)
@given(st.sets(NAMES.map(".".join), max_size=8))
def test_no_two_names_become_the_same(names):
    short = short_names(names)
    assert short.keys() == names
    assert len(set(short.values())) == len(names)


def test_words_that_tell_nothing_apart_are_left_out_and_numbers_stay():
    assert short_names(["blocks.0.mb.conv.conv", "blocks.1.mb.conv.bn", "head.linear"]) == {
        "blocks.0.mb.conv.conv": "blocks.0.conv",
        "blocks.1.mb.conv.bn": "blocks.1.bn",
        "head.linear": "head",
    }
    assert short_names(["a", "a.b", "c.0"]) == {"a": "a", "a.b": "a.b", "c.0": "c.0"}


@pytest.mark.parametrize(
    ("name", "letters", "most", "lines"),
    [
        ("blocks.1.depth_conv.bn", 22, 1, ("blocks.1.depth_conv.bn",)),
        ("blocks.1.depth_conv.bn", 14, 2, ("blocks.1.", "depth_conv.bn")),
        ("blocks.1.depth_conv.bn", 9, 3, ("blocks.1.", "depth_", "conv.bn")),
        ("blocks.1.depth_conv.bn", 9, 2, ()),
        ("blocks.1.depth_conv.bn", 8, 9, ()),
        ("5 smaller modules", 10, 2, ("5 smaller ", "modules")),
        ("x", 0, 1, ()),
    ],
)
def test_a_name_takes_lines_that_fit_or_none(name, letters, most, lines):
    assert in_lines(name, letters, most) == lines
