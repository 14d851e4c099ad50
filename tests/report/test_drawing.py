"""Every method has a colour, whatever its name, and colours can be told apart."""

import itertools
import re

import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ondevice_bench import metrics
from ondevice_bench.report.drawing import FURTHER_COLOURS, METHOD_COLOURS, colour, lines
from ondevice_bench.report.sections import anatomy, modules, trends
from ondevice_bench.specs import builtin_methods

COLOURS = (*METHOD_COLOURS.values(), *FURTHER_COLOURS)
APART = 0.08  # in OKLab, where black and white are 1 apart
TO_CONES = [
    [0.4122214708, 0.5363325363, 0.0514459929],
    [0.2119034982, 0.6806995451, 0.1073969566],
    [0.0883024619, 0.2817188376, 0.6299787005],
]
TO_LAB = [
    [0.2104542553, 0.7936177850, -0.0040720468],
    [1.9779984951, -2.4285922050, 0.4505937099],
    [0.0259040371, 0.7827717662, -0.8086757660],
]


def oklab(text):
    """Lightness and two axes of hue, in which distances are what people see."""
    channels = numpy.array([int(text[at : at + 2], 16) / 255 for at in (1, 3, 5)])
    dark = channels <= 0.04045
    linear = numpy.where(dark, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    return TO_LAB @ numpy.cbrt(TO_CONES @ linear)


@given(st.text())
def test_any_name_has_a_colour_that_is_always_the_same(name):
    assert re.fullmatch("#[0-9A-F]{6}", colour(name))
    assert colour(name) == colour(name)


@given(st.text(), st.text())
def test_two_methods_have_the_same_colour_or_two_that_can_be_told_apart(one, other):
    first, second = colour(one), colour(other)
    assert first == second or numpy.linalg.norm(oklab(first) - oklab(second)) >= APART


@given(st.text())
def test_no_other_name_takes_the_colour_of_a_builtin_method(name):
    assert name in METHOD_COLOURS or colour(name) not in METHOD_COLOURS.values()


def test_all_colours_can_be_told_apart_and_seen_on_white_and_on_black():
    points = [oklab(each) for each in COLOURS]
    for one, other in itertools.combinations(points, 2):
        assert numpy.linalg.norm(one - other) >= APART
    assert all(0.35 < point[0] < 0.93 for point in points)


def test_no_part_and_no_mark_has_the_colour_of_a_method():
    of_methods = {each.upper() for each in COLOURS}
    parts = {metric.name: metric.colour for metric in metrics.ALL if metric.colour}
    assert len(parts) > 15
    assert [
        name for name, each in (parts | trends.MARKS).items() if each.upper() in of_methods
    ] == []


SAME_BYTES = [
    ("rss_batch_bytes", "batch_bytes"),
    ("rss_weights_bytes", "parameter_bytes"),
    ("rss_optimizer_bytes", "optimizer_state_bytes"),
]


def test_a_colour_of_memory_means_one_thing_in_both_stacks_and_on_the_map():
    wholes = ("peak", "resident tensors", "activations")
    parts = {n: metrics.BY_NAME[n].colour for whole in wholes for n in metrics.parts_of(whole)}
    assert all(parts[one] == parts[other] for one, other in SAME_BYTES)
    parts = {name: each for name, each in parts.items() if name not in dict(SAME_BYTES)}
    points = [oklab(each) for each in (*parts.values(), anatomy.BEYOND_COLOUR)]
    assert len(points) > 14
    for one, other in itertools.combinations(points, 2):
        assert numpy.linalg.norm(one - other) >= 0.06
    assert modules.SMALLER_COLOUR not in parts.values()


def test_lines_of_one_method_differ_by_their_dashes():
    first, other, second = lines(["asi", "svd", "asi"])
    assert first["color"] == second["color"] != other["color"]
    assert (first["dash"], other["dash"], second["dash"]) == ("solid", "solid", "dash")


def test_every_builtin_method_has_a_colour_of_its_own():
    assert set(METHOD_COLOURS) == {spec.name for spec in builtin_methods.METHODS}


@pytest.mark.parametrize(
    ("name", "expected"), [("wasi+checkpoint", "#C0C898"), ("mine.py:Mine@0a1b2c3d", "#005068")]
)
def test_a_colour_stays_for_ever(name, expected):
    assert colour(name) == expected
