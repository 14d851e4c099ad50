"""A suite as a Python object: the same rules as a file, and one line for what is wrong."""

import inspect
from pathlib import Path

import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ruamel.yaml import YAML

from ondevice_bench import Suite
from ondevice_bench.errors import BadInput
from ondevice_bench.suite.load import load_suite
from ondevice_bench.suite.schema import SuiteSchema
from tests.conftest import TINY

NET = "from torch import nn\n\n\nclass Net(nn.Linear):\n    pass\n"


class Here:
    """A class that no file of the user has."""


Here.__module__ = "__main__"  # as in a notebook


def test_an_object_is_the_suite_of_the_same_file(workplace):
    (workplace / "tiny.yaml").write_text(TINY)
    keys = YAML(typ="safe").load(TINY)
    of_file, of_object = load_suite("tiny.yaml"), Suite(name="tiny", **keys).load()
    same = ("name", "title", "models", "methods", "rounds", "sampling", "measure", "layers")
    assert all(getattr(of_file, key) == getattr(of_object, key) for key in same)


def test_its_text_is_the_file_of_the_same_suite(workplace):
    suite = Suite(models=["mcunet"], methods=[{"asi": {"epsilon": 0.8}}], seeds=range(2))
    (workplace / "again.yaml").write_text(suite.text)
    assert load_suite("again.yaml").methods == suite.load().methods
    assert load_suite("again.yaml").seeds == (0, 1)


def test_keys_may_come_from_another_suite(workplace):
    suite = Suite(extends="quick", seeds=[3])
    assert suite.load().seeds == (3,)
    assert suite.load().models == load_suite("quick").models
    assert suite.name == "quick-variant"  # its results are not those of `quick`
    assert "# extends quick.yaml" in suite.load().text


def test_a_value_may_be_of_python_as_long_as_a_file_could_say_it(workplace):
    (workplace / "net.py").write_text(NET)
    suite = Suite(
        models=(Path("net.py:Net"),),
        methods={"vanilla"},
        seeds=numpy.arange(2),
        rounds=numpy.int64(3),
    )
    assert suite.load().seeds == (0, 1)
    assert suite.load().rounds["time"] == 3


def test_the_signature_has_every_key_of_a_file():
    keys = {field.alias or name for name, field in SuiteSchema.model_fields.items()}
    assert {*inspect.signature(Suite).parameters} == {"name", *keys} - {"schema"}


def test_a_file_of_code_that_changes_is_another_version(workplace):
    (workplace / "net.py").write_text(NET)
    suite = Suite(models=["./net.py:Net"], methods=["vanilla"])
    before = suite.load().models[0].name
    (workplace / "net.py").write_text(f"{NET}# changed\n")
    assert suite.load().models[0].name != before


@pytest.mark.parametrize(
    ("keys", "says"),
    [
        ({"modles": ["mcunet"]}, "Suite: unknown key 'modles'; did you mean 'models'?"),
        ({"models": ["mcunett"]}, "models[0]: unknown model 'mcunett'; did you mean 'mcunet'?"),
        ({"methods": ["vanila"]}, "methods[0]: unknown method 'vanila'; did you mean 'vanilla'?"),
        ({"methods": [{"asi": {"rnk": 1}}]}, "unknown option 'rnk'; did you mean 'rank'?"),
        ({"measure": ["trase"]}, "Suite: measure[0]: unknown pass 'trase'; did you mean 'trace'?"),
        ({"extends": "quik"}, "Suite: extends: unknown suite 'quik'; did you mean 'quick'?"),
        ({"name": "a/b"}, "Suite: a suite's name becomes part of folders and run ids"),
        ({"seeds": [object()]}, "seeds[0]: must be text, a number, a list or a mapping, got a object"),
        ({"train": {1: 2}}, "Suite: train: key 1 must be text"),
        ({"models": [Here]}, "Here is defined in a notebook or script"),
        ({"models": [Here()]}, "put it into a file, such as net.py, and name it './net.py:Here'"),
        ({"methods": {"vanilla", 1}}, "Suite: methods: these values have no order: give a list"),
        ({"models": ["__main__:Net"]}, "__main__:Net is defined in a notebook or script"),
        ({"models": [YAML]}, "name YAML by its file, such as './net.py:YAML', not by the object"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_one_line_with_the_nearest_name(workplace, keys, says):
    whole = {"models": ["mcunet"], "methods": ["vanilla"], **keys}
    with pytest.raises(BadInput) as error:
        Suite(**whole)
    (line,) = error.value.lines
    assert line.startswith("Suite: ")
    assert says in line
    assert "\n" not in line


@given(st.text(min_size=1))
def test_every_text_arrives_as_it_is(text):
    assert Suite(models="mcunet", methods="vanilla", title=text).load().title == text


def test_a_notebook_shows_the_line_and_no_traceback(workplace):
    with pytest.raises(BadInput) as error:
        Suite(models=["mcunet"], methods=["vanila"])
    (shown,) = error.value._render_traceback_()
    assert shown.startswith("BadInput: Suite: methods[0]: unknown method 'vanila'")


def test_a_notebook_shows_its_keys_and_the_text_of_an_object_makes_it_again(workplace):
    suite = Suite(name="mine", models=["mcunet"], methods=["vanilla"], seeds=[1])
    assert eval(repr(suite), {"Suite": Suite}).text == suite.text
    assert "<td>seeds</td><td>[1]</td>" in suite._repr_html_()
