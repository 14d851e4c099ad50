"""The table of passes: each row has its module, each module its row."""

import ast
import importlib.util
from pathlib import Path

import pytest

from ondevice_bench import metrics, passes
from ondevice_bench.declare.document import parse
from ondevice_bench.suite.load import suite_of
from ondevice_bench.worker import passes as folder


def test_names_are_unique():
    assert len(passes.BY_NAME) == len(passes.ALL)


@pytest.mark.parametrize("described", passes.ALL, ids=lambda each: each.name)
def test_each_pass_has_a_module_that_measures(described):
    spec = importlib.util.find_spec(f"ondevice_bench.{described.module}")
    tree = ast.parse(Path(spec.origin).read_text())
    functions = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
    assert "measure" in functions


def test_each_module_of_the_folder_is_a_pass():
    modules = {path.stem for path in Path(folder.__file__).parent.glob("*.py")} - {"__init__"}
    rows = {each.module.rpartition(".")[2] for each in passes.ALL if "worker" in each.module}
    assert modules == rows


def test_every_metric_is_of_a_pass_that_is_stored():
    stored = {*passes.IN_SUITES, *passes.PREPARING, *passes.OF_BOARD}
    assert {metric.pass_name for metric in metrics.ALL} <= stored


def test_a_suite_takes_its_passes_and_rounds_from_the_table():
    text = "schema: 1\ntitle: t\nmodels: [mcunet]\nmethods: [vanilla]\n"
    usual = suite_of(parse(Path("s.yaml"), text), "s")
    assert usual.measure == passes.BY_DEFAULT == ("memory", "trace", "time")
    assert (
        usual.rounds
        == passes.ROUNDS
        == {
            "memory": 3,
            "time": 1,
            "energy": 1,
            "treated_layers": 1,
            "latency": 1,
        }
    )
    every = suite_of(parse(Path("s.yaml"), text + "rounds: 4\n"), "s")
    assert every.rounds == dict.fromkeys(passes.ROUNDS, 4)


def test_a_pass_without_rounds_takes_one_process_whatever_a_suite_says():
    assert passes.rounds_of("trace", {"time": 5}) == passes.rounds_of("trace", 5) == 1
    assert passes.rounds_of("time", {"time": 5}) == passes.rounds_of("time", 5) == 5
    assert passes.rounds_of("of a newer version", {"time": 5}) == 1
