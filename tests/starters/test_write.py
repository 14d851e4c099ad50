"""The files that users start from: they work as they are, and overwrite nothing."""

import json
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from ondevice_bench.declare.document import read
from ondevice_bench.errors import BadInput
from ondevice_bench.starters.write import write_method, write_suite
from ondevice_bench.suite.board import HERE
from ondevice_bench.suite.load import load_suite
from ondevice_bench.suite.plan import plan

NET = """\
from torch import nn


def net():
    return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 2))
"""


def test_a_suite_can_be_planned_as_it_is(workplace):
    assert str(write_suite("mine")) == "suites/mine.yaml"
    suite = load_suite("mine")
    assert {item.state for item in plan(suite, HERE)} == {"planned"}
    assert {method.name for method in suite.methods} >= {"vanilla", "asi", "wasi", "checkpoint"}
    text = (workplace / "suites/mine.yaml").read_text()
    assert "bench run mine --open" in text
    assert max(map(len, text.splitlines())) <= 100


def test_an_editor_finds_the_schema_of_the_suite(workplace):
    path = write_suite("mine")
    first, *_ = path.read_text().splitlines()
    assert first == "# yaml-language-server: $schema=suite.schema.json"
    schema = json.loads((path.parent / "suite.schema.json").read_text())
    assert list(Draft202012Validator(schema).iter_errors(read(path).values)) == []


def test_a_schema_that_is_there_stays(workplace):
    write_suite("mine")
    (workplace / "suites/suite.schema.json").write_text("{}")
    write_suite("other")
    assert (workplace / "suites/suite.schema.json").read_text() == "{}"


def test_a_call_that_was_ended_between_its_files_can_be_repeated(workplace, monkeypatch):
    replace, done = Path.replace, []

    def replace_one(self, target):
        if done:
            raise KeyboardInterrupt
        done.append(target)
        return replace(self, target)

    with monkeypatch.context() as ended:
        ended.setattr(Path, "replace", replace_one)
        with pytest.raises(KeyboardInterrupt):
            write_suite("mine")
    assert write_suite("mine").exists()
    assert (workplace / "suites/suite.schema.json").exists()


@pytest.mark.parametrize(
    ("given", "written"),
    [
        ("./mynet.py:net", "../mynet.py:net"),
        ("nets/mynet.py", "../nets/mynet.py"),
        ("vit_b_32", "vit_b_32"),
        ("torchvision:resnet18", "torchvision:resnet18"),
    ],
)
def test_a_suite_takes_the_users_model(workplace, given, written):
    (workplace / "nets").mkdir()
    for path in ("mynet.py", "nets/mynet.py"):
        (workplace / path).write_text(NET)
    path = write_suite("other", given)
    assert f"  - {written}: {{batch: 8}}\n" in path.read_text()
    assert load_suite("other").models


def test_a_config_of_transformers_is_looked_for_from_the_folder_of_the_suite(workplace):
    (workplace / "config.json").write_text("{}")
    path = write_suite("other", "transformers:config.json")
    assert "  - transformers:../config.json: {batch: 8}\n" in path.read_text()


def test_a_model_that_is_none_writes_nothing(workplace):
    for model, says in (("mcunt", "did you mean 'mcunet'"), ("./no.py:net", "cannot be read")):
        with pytest.raises(BadInput, match=says):
            write_suite("mine", model)
    assert not (workplace / "suites").exists()


@pytest.mark.parametrize("name", ["../x", "", ".x", "a b"])
def test_a_name_that_is_none_is_refused(workplace, name):
    with pytest.raises(BadInput, match="cannot be the name of a suite"):
        write_suite(name)
    with pytest.raises(BadInput, match="cannot be the name of a method"):
        write_method(name)


def test_a_method_begins_with_no_digit(workplace):
    with pytest.raises(BadInput, match="no digit first"):
        write_method("1x")
    assert list(workplace.iterdir()) == []


def test_a_name_too_long_for_a_file_leaves_no_folder(workplace):
    with pytest.raises(BadInput, match="File name too long"):
        write_suite("a" * 300)
    assert list(workplace.iterdir()) == []


def test_nothing_is_overwritten(workplace):
    write_suite("mine")
    write_method("topk")
    before = [path.read_text() for path in (workplace / "suites/mine.yaml", workplace / "topk.py")]
    with pytest.raises(BadInput, match=r"^suites/mine\.yaml: exists already; give another name$"):
        write_suite("mine", "vit_b_32")
    with pytest.raises(BadInput, match=r"^topk\.py: exists already"):
        write_method("topk.py")
    assert before == [
        path.read_text() for path in (workplace / "suites/mine.yaml", workplace / "topk.py")
    ]


@pytest.mark.parametrize("name", ["_", "_1", "none"])
def test_a_name_that_no_class_can_have_is_refused(workplace, name):
    with pytest.raises(BadInput, match="no class can have the name"):
        write_method(name)
    assert list(workplace.iterdir()) == []


def test_a_name_with_the_word_of_the_template_is_written_once(workplace):
    path, kind = write_method("kickstarter")
    assert kind == "Kickstarter"
    assert "class Kickstarter(LayerMethod):" in path.read_text()
    assert "kickkick" not in path.read_text().lower()


def test_a_model_below_the_users_home_is_found_from_suites(workplace, monkeypatch):
    monkeypatch.setenv("HOME", str(workplace))
    (workplace / "net.py").write_text(NET)
    assert "../net.py:net" in write_suite("mine", "~/net.py:net").read_text()


def test_a_method_has_the_name_of_its_file(workplace):
    path, kind = write_method("random_sums")
    assert (str(path), kind) == ("random_sums.py", "RandomSums")
    text = path.read_text()
    compile(text, path, "exec")
    assert "class RandomSums(LayerMethod):" in text
    assert "./random_sums.py:RandomSums" in text
    assert "tarter" not in text


def test_a_suite_with_the_users_model_has_no_example_of_one(workplace):
    assert "mynet.py" not in write_suite("other", "vit_b_32").read_text()
    assert "mynet.py" in write_suite("mine").read_text()


def test_the_message_names_the_flag_and_no_file_that_is_not_there(workplace):
    with pytest.raises(BadInput) as caught:
        write_suite("mine", "mcunt")
    (line,) = caught.value.lines
    assert line.startswith("--model mcunt: unknown model 'mcunt'; did you mean 'mcunet'?")
    with pytest.raises(BadInput, match=r"^--model: the name of the model is empty$"):
        write_suite("mine", "")


def test_the_suffix_of_a_suite_is_not_written_twice(workplace):
    assert str(write_suite("mine.yaml")) == "suites/mine.yaml"


@pytest.mark.parametrize("name", ["torch", "numpy", "random", "random.py", "ondevice_bench"])
def test_a_method_does_not_hide_a_module_that_others_import(workplace, name):
    with pytest.raises(BadInput, match="cannot be the name of a method: it is a module"):
        write_method(name)
    assert list(workplace.iterdir()) == []


def test_a_method_is_no_word_of_python(workplace):
    with pytest.raises(BadInput, match="it is a word of Python"):
        write_method("class")
    assert list(workplace.iterdir()) == []


@pytest.mark.parametrize("written", ["./net.py:nett", "./net.py:Net"])
def test_a_name_that_the_file_of_the_model_lacks_is_refused_before_anything_is_written(
    workplace, written
):
    (workplace / "net.py").write_text(NET)
    with pytest.raises(BadInput, match=r"^--model: ./net.py has no '\w+'; did you mean 'net'\?"):
        write_suite("mine", written)
    assert not (workplace / "suites").exists()


@pytest.mark.parametrize(
    "code",
    [
        "from somewhere import *",
        "def __getattr__(name): return 1",
        "globals()['other'] = 1",
        "import torch as other",
        "if 1:\n    other = 1",
        "def broken(",
    ],
)
def test_a_name_that_only_running_the_file_would_show_is_not_refused(workplace, code):
    (workplace / "net.py").write_text(code)
    assert write_suite("mine", "./net.py:other").exists()
