"""No JSON of ours has a NaN or an infinity, whatever numbers go in."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ondevice_bench import strict_json
from ondevice_bench.terminal import print_json

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner) | st.tuples(inner, inner),
    max_leaves=20,
)


def refuse(text):
    raise ValueError(f"{text} is no JSON")


def strict(text):
    return json.loads(text, parse_constant=refuse)


@given(VALUES)
def test_the_text_is_strict_json_and_only_odd_numbers_are_null(value):
    text = strict_json.text_of(value)
    assert strict(text) == json.loads(json.dumps(strict_json.finite(value)))
    if not strict_json.not_finite(value):
        assert text == json.dumps(value)


@given(st.lists(st.floats()))
def test_odd_numbers_are_counted(values):
    odd = sum(not math.isfinite(each) for each in values)
    assert strict_json.not_finite({"a": [values]}) == odd
    assert strict_json.finite(values).count(None) == odd


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ([1.0, 2], ""),
        ([math.inf], "1 number is not finite (nan or inf)"),
        ([math.nan, -math.inf, 1.0], "2 numbers are not finite (nan or inf)"),
    ],
)
def test_a_command_says_that_it_wrote_null(capsys, values, said):
    print_json({"values": values})
    printed = capsys.readouterr()
    assert [math.isfinite(each) for each in values] == [
        each is not None for each in strict(printed.out)["values"]
    ]
    assert said in printed.err
    assert bool(printed.err) == bool(said)
