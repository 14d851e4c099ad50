import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ondevice_bench.specs.option import Option, resolved

EPSILON = Option("epsilon", "", default=0.8, kind="float", above=0, maximum=1)
SIZE = Option("size", "", default=64, minimum=32, maximum=1024, multiple_of=32)
COUNT = Option("count", "", default=1, minimum=1)
FLAG = Option("flag", "", default=False, kind="bool")
KIND = Option("kind", "", default="exact", kind="choice", choices=("exact", "published"))


@pytest.mark.parametrize(
    ("option", "value", "says"),
    [
        (EPSILON, 1.7, "must be in (0, 1], got 1.7"),
        (EPSILON, 0, "must be in (0, 1], got 0"),
        (EPSILON, math.nan, "must be in (0, 1], got nan"),
        (EPSILON, "0.8", "must be in (0, 1], got '0.8'"),
        (EPSILON, True, "must be in (0, 1], got True"),
        (SIZE, 33, "must be a multiple of 32 in [32, 1024], got 33"),
        (SIZE, 2048, "must be a multiple of 32 in [32, 1024], got 2048"),
        (COUNT, 0, "must be an integer of at least 1, got 0"),
        (COUNT, 1.0, "must be an integer of at least 1, got 1.0"),
        (COUNT, True, "must be an integer of at least 1, got True"),
        (COUNT, None, "must be an integer of at least 1, got None"),
        (FLAG, 1, "must be true or false, got 1"),
        (KIND, "exakt", "must be one of exact, published, got 'exakt'; did you mean 'exact'?"),
        (KIND, ["exact"], "must be one of exact, published, got ['exact']"),
    ],
)
def test_a_refusal_says_what_is_allowed_and_what_was_read(option, value, says):
    with pytest.raises(ValueError) as caught:
        option.check(value)
    assert str(caught.value) == says


@given(st.floats(0, 1, exclude_min=True))
def test_values_in_range_pass_unchanged(value):
    assert EPSILON.check(value) == value


def test_an_integer_is_a_number_and_keeps_its_value():
    assert EPSILON.check(1) == 1.0
    assert isinstance(EPSILON.check(1), float)
    assert SIZE.check(96) == 96


def test_a_default_outside_its_own_range_is_a_bug_that_shows_at_once():
    with pytest.raises(ValueError):
        Option("bad", "", default=0, minimum=1)


def test_resolved_options_are_complete():
    assert resolved((EPSILON, COUNT), {"count": 4}) == {"epsilon": 0.8, "count": 4}
