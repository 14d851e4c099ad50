"""What `from ondevice_bench import …` offers."""

import importlib
from pathlib import Path

import pytest

import ondevice_bench
from ondevice_bench.errors import BadInput
from ondevice_bench.record.store import Store
from tests.record.conftest import CELL, make_record, make_run, planned


def test_every_public_name_is_there():
    for name in ondevice_bench.__all__:
        value = getattr(ondevice_bench, name)
        assert value is getattr(importlib.import_module(value.__module__), name)


def test_another_name_is_an_error():
    with pytest.raises(AttributeError, match="module 'ondevice_bench' has no attribute 'tread'"):
        ondevice_bench.tread  # noqa: B018  # the access is the test
    with pytest.raises(ImportError):
        from ondevice_bench import tread  # noqa: F401  # the import is the test


@pytest.mark.parametrize(
    "name", ["mine", "bench-out/mine/results.sqlite", Path("bench-out/mine/results.sqlite")]
)
def test_a_store_loads_as_a_frame_by_its_suite_or_its_path(workplace, name):
    path = workplace / "bench-out" / "mine" / "results.sqlite"
    path.parent.mkdir(parents=True)
    with Store.create(path) as store:
        store.add_run(make_run(), planned(CELL))
        store.add_record(make_record(pass_name="trace", metrics={"activation_bytes": 8.0}))
    samples = ondevice_bench.load(name, samples=True)
    assert samples[["process", "sample", "value"]].values.tolist() == [[1, 1, 8.0]]
    frame = ondevice_bench.load(name)
    assert frame[["run", "metric", "estimate"]].values.tolist() == [["r1", "activation_bytes", 8.0]]


def test_an_unknown_name_of_a_suite_is_one_line(workplace):
    with pytest.raises(BadInput, match="no results of 'mine': bench-out has no runs"):
        ondevice_bench.load("mine")
