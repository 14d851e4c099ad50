"""The benchmarks of this project: each still finds what it imports. None is run here."""

import runpy

import pytest

from tests.conftest import ROOT


@pytest.mark.parametrize("path", sorted((ROOT / "benchmarks").glob("*.py")), ids=lambda p: p.stem)
def test_a_benchmark_can_be_loaded(path):
    runpy.run_path(str(path), run_name="loaded")
