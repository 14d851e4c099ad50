"""Models and methods in files that import the files beside them, by the real command."""

import json

import pytest

MODEL = """\
from torch import nn

def make(classes=3, image_size=8):
    return nn.Sequential(nn.Flatten(), nn.Linear(3 * image_size**2, {width}), nn.Linear({width}, classes))
"""
NET = """\
from model import make

def net(**options):
    import late
    return make(**options)
"""
SUITE = """\
schema: 1
title: Files beside
models: [./a/net.py:net: {image_size: 8}, ./b/net.py:net: {image_size: 8}]
methods: [vanilla, ./c/mine.py:Mine: {rank: 2, alpha: 2.0}]
measure: [trace]
"""
FILES = {
    "a/net.py": NET,
    "a/model.py": MODEL.format(width=16),
    "a/late.py": "",
    "b/net.py": NET,
    "b/model.py": MODEL.format(width=32),
    "b/late.py": "",
    "c/mine.py": "from rules import Base\n\nclass Mine(Base):\n    pass\n",
    "c/rules.py": "from ondevice_bench.methods.lora import Lora as Base\n",
    "c/types.py": "raise SystemError('this is not the standard library')\n",
    "own.yaml": SUITE,
}


@pytest.fixture
def place(workplace):
    for name, text in FILES.items():
        (workplace / name).parent.mkdir(exist_ok=True)
        (workplace / name).write_text(text)
    return workplace


def names(bench):
    """The networks of the suite's plan, in order."""
    cells = bench("plan", "own.yaml", "--json").json()["cells"]
    return list(dict.fromkeys(cell["cell"].partition("(")[0] for cell in cells))


def test_each_network_has_the_file_beside_it(place, bench):
    ended = bench("run", "own.yaml")
    assert ended.code == 0, ended.err
    shown = json.loads(bench("report", "own", "--format", "json").out)["cells"]
    found = {
        cell["cell"].partition("/all")[0]: cell["metrics"]["parameter_bytes"]["estimate"]
        for cell in shown
    }
    for name, width in zip(names(bench), (16, 32), strict=True):
        elements = (3 * 8 * 8 + 1) * width + (width + 1) * 3
        assert found[f"{name}(image_size=8)/vanilla"] == 4 * elements
    assert len(found) == 4


def test_a_change_in_the_file_beside_it_is_another_cell(place, bench):
    before = names(bench)
    with (place / "a/model.py").open("a") as file:
        file.write("# changed")
    after = names(bench)
    assert (after[0] != before[0], after[1]) == (True, before[1])


def test_questions_about_a_method_find_the_file_beside_it(place, bench):
    ended = bench("check-method", "./c/mine.py:Mine", "--option", "rank=2", "--option", "alpha=2")
    assert ended.code == 0, ended.out + ended.err


def test_a_name_in_the_folders_of_both_model_and_method_is_refused_in_a_line(place, bench):
    (place / "c/model.py").write_text("Base = object\n")
    (place / "c/mine.py").write_text("from model import Base\n\n\nclass Mine(Base):\n    pass\n")
    ended = bench("run", "own.yaml")
    assert ended.code == 3
    assert "ImportError: 'model' is in " in ended.err
