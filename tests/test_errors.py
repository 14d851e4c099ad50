"""The words of errors that all commands share."""

import pytest

from ondevice_bench.analyse.frame import load
from ondevice_bench.errors import BadInput, suggestion


@pytest.mark.parametrize(
    ("word", "says"),
    [
        ("vanila", "; did you mean 'vanilla'?"),
        ("4GB", "; did you mean 'pi4-4gb' or 'pi5-4gb'?"),  # a part of their names
        ("q", ""),
        ("nothing", ""),
    ],
)
def test_a_message_suggests_similar_names(word, says):
    assert suggestion(word, ["pi4-4gb", "pi5-4gb", "x86", "vanilla"]) == says


@pytest.mark.parametrize("name", [3, None, b"mine"])
def test_a_name_of_a_wrong_type_is_bad_input(name):
    with pytest.raises(
        BadInput, match=r"^name: must be the name of a suite or the path of a store"
    ):
        load(name)
