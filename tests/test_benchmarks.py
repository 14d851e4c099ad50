"""The benchmarks of this project: each still finds what it imports. None is run here."""

import runpy

import pytest

from ondevice_bench.running.boards import boards
from ondevice_bench.suite.load import load_suite
from ondevice_bench.suite.plan import plan
from tests.conftest import ROOT


@pytest.mark.parametrize("path", sorted((ROOT / "benchmarks").glob("*.py")), ids=lambda p: p.stem)
def test_a_benchmark_can_be_loaded(path):
    runpy.run_path(str(path), run_name="loaded")


def test_the_gates_share_their_rounds_between_as_many_cells_as_regression_has(workplace):
    gate = runpy.run_path(str(ROOT / "benchmarks" / "gate.py"), run_name="loaded")
    planned = plan(load_suite("regression"), boards()["x86"])
    assert gate["CELLS"] == sum(item.state == "planned" for item in planned)
