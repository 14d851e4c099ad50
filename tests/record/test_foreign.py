"""What pytest-benchmark writes, as foreign metrics. The file of the tests is one that it wrote."""

import json
import os
import subprocess
import sys

import pytest

from ondevice_bench.errors import BadInput
from ondevice_bench.record import baseline
from ondevice_bench.record.foreign import by_series, foreign_runs, keep, read_pytest_benchmark

TESTS = """
def test_sum(benchmark):
    benchmark.pedantic(sum, args=(range(10),), rounds=7, iterations=2)

def test_max(benchmark):
    benchmark.pedantic(max, args=(range(10),), rounds=3)
"""


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """The JSON of the real plugin."""
    folder = tmp_path_factory.mktemp("foreign")
    (folder / "test_it.py").write_text(TESTS)
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:xdist",
        "--benchmark-json=out.json",
        "test_it.py",
    ]
    # the plugin measures nothing where it believes that other tests run beside it
    env = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    subprocess.run(command, cwd=folder, env=env, check=True, capture_output=True)
    return folder / "out.json"


def changed(written, tmp_path, change):
    values = json.loads(written.read_text())
    change(values)
    path = tmp_path / "foreign.json"
    path.write_text(json.dumps(values))
    return path


def test_the_readings_are_those_of_the_file(written):
    raw = json.loads(written.read_text())
    run = read_pytest_benchmark(written)
    assert (run.tool, run.tool_version) == ("pytest-benchmark", raw["version"])
    assert raw["machine_info"]["node"] not in run.machine.split(", ")
    for reading, theirs in zip(run.readings, raw["benchmarks"], strict=True):
        assert reading.benchmark == theirs["fullname"]
        for name in ("median", "mean", "min", "stddev", "rounds"):
            assert getattr(reading, name) == theirs["stats"][name]
    assert [each.rounds for each in run.readings] == [7, 3]


def test_what_is_kept_can_be_read_and_is_kept_one_time(written, tmp_path):
    run = read_pytest_benchmark(written)
    path, is_new = keep(run, tmp_path)
    assert is_new
    assert keep(run, tmp_path) == (path, False)
    path.write_text("{")
    assert keep(run, tmp_path) == (path, True)
    assert list(foreign_runs(tmp_path)) == [(path, run)]


def test_series_are_of_one_benchmark_on_one_machine_in_the_order_of_time(written, tmp_path):
    def later(values):
        values["datetime"] = "2099-01-01T00:00:00+00:00"

    first, last = (
        read_pytest_benchmark(written),
        read_pytest_benchmark(changed(written, tmp_path, later)),
    )

    def elsewhere(values):
        later(values)
        values["machine_info"]["machine"] = "aarch64"

    other = read_pytest_benchmark(changed(written, tmp_path, elsewhere))
    series = by_series([last, other, first])
    assert sorted(len(points) for points in series.values()) == [1, 1, 2, 2]
    assert all(points[0][0] is first for points in series.values() if len(points) == 2)


def set_version(text):
    return lambda values: values.update(version=text)


def drop(key):
    return lambda values: values.pop(key)


def stat(name, value):
    return lambda values: values["benchmarks"][0]["stats"].update({name: value})


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (set_version("6.0.0"), "written by pytest-benchmark 6.0.0; this bench reads version 5.x"),
        (set_version("5." + "1" * 2_000), "version: String should have at most 1000 characters"),
        (set_version("55"), "written by pytest-benchmark 55; this bench reads version 5.x"),
        (
            drop("version"),
            "JSON of something else: give a bundle, or a file of `pytest --benchmark-json`",
        ),
        (
            lambda values: values.update(format=baseline.FORMAT, version=2),
            "a baseline cannot be imported; compare with it: `bench compare ",
        ),
        (
            lambda values: values.update(more="[" * 9_000_000),
            "not JSON: its values would take more than 512 MiB of memory",
        ),
        (drop("machine_info"), "machine_info: Field required"),
        (
            stat("median", -1.0),
            "benchmarks.0.stats.median: Input should be greater than or equal to 0",
        ),
        (stat("median", "1"), "benchmarks.0.stats.median: Input should be a valid number"),
        (stat("median", float("nan")), "benchmarks.0.stats.median: Input should be"),
        (lambda values: values.update(benchmarks=[]), "no benchmark in it"),
        (
            lambda values: values["benchmarks"].append(values["benchmarks"][0]),
            "a benchmark appears twice",
        ),
        (lambda values: values.update(datetime="yesterday"), "datetime: no date, got 'yesterday'"),
    ],
)
def test_a_file_that_cannot_be_read_is_one_line(written, tmp_path, change, says):
    path = changed(written, tmp_path, change)
    with pytest.raises(BadInput) as caught:
        read_pytest_benchmark(path)
    (line,) = caught.value.lines
    assert line.startswith(f"{path}: {says}")


def test_a_damaged_file_among_those_that_are_kept_is_named(written, tmp_path):
    keep(read_pytest_benchmark(written), tmp_path)
    (tmp_path / "a.json").write_text('{"version": 1}')
    (tmp_path / "b.json").write_text("[" * 100_000)
    damaged = [str(found) for _, found in foreign_runs(tmp_path) if isinstance(found, BadInput)]
    assert [line.partition(": ")[0].rpartition("/")[2] for line in damaged] == ["a.json", "b.json"]
