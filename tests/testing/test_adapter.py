"""The contract with pytest-benchmark: its table, its files and its comparisons of our samples."""

import json
import statistics
from importlib.util import find_spec
from pathlib import Path

import numpy  # noqa: F401  # pytester forgets what its sessions import; numpy loads only once
import pytest

import ondevice_bench
from ondevice_bench.protocol.job import PassResult, Reply

pytest_plugins = ["pytester"]

SUITE = """\
schema: 1
title: t
models: [{mcunet: {batch: [1, 2]}}]
methods: [vanilla]
measure: [memory, trace, time, fidelity]
rounds: {time: 2}
"""
SAMPLES = {1: [[0.010, 0.011, 0.012], [0.020, 0.021, 0.022]], 2: [[0.1], [0.3]]}
OTHERS = {
    "memory": {"peak_rss_bytes": 3e8, "peak_rss_over_runtime_bytes": 1e8},
    "trace": {"activation_bytes": 4096.0, "step_flops": 2e9, "parameter_bytes": 8.0},
    "fidelity": {"gradient_cosine": 0.99},
}


@pytest.fixture
def cells(pytester, monkeypatch, hosts):
    """Sessions over two cells whose figures are known."""
    monkeypatch.delenv("PYTEST_XDIST_WORKER", raising=False)
    told = {}

    def answer(job):
        if job.pass_name != "time":
            return Reply("ok", result=PassResult(OTHERS[job.pass_name]))
        number = told[job.cell.id] = told.get(job.cell.id, 0) + 1
        samples = SAMPLES[job.cell.batch][(number - 1) % 2]
        found = {"step_seconds": statistics.median(samples)}
        return Reply("ok", result=PassResult(found, {"step_seconds": samples}))

    hosts.answer = answer
    (pytester.path / "suites").mkdir()
    (pytester.path / "suites" / "small.yaml").write_text(SUITE)

    def run(*arguments):
        return pytester.runpytest("--benchmark", "--suite", "small", *arguments)

    run.path = pytester.path
    return run


def entries(path):
    return {entry["name"]: entry for entry in json.loads(path.read_text())["benchmarks"]}


def test_the_saved_json_holds_every_sample_and_the_other_figures(cells):
    cells("--benchmark-json", "out.json").assert_outcomes(passed=2)
    found = entries(cells.path / "out.json")
    assert list(found) == ["mcunet/vanilla/all/b1/s0", "mcunet/vanilla/all/b2/s0"]
    for batch, entry in zip((1, 2), found.values(), strict=True):
        samples = [seconds for one in SAMPLES[batch] for seconds in one]
        stats = entry["stats"]
        assert stats["data"] == samples
        assert stats["rounds"] == len(samples)
        assert stats["iterations"] == 1
        assert (stats["min"], stats["max"]) == (min(samples), max(samples))
        assert stats["mean"] == pytest.approx(sum(samples) / len(samples))
        assert stats["median"] == pytest.approx(statistics.median(samples))
        assert entry["fullname"] == f"suites/small.yaml::mcunet/vanilla/all/b{batch}/s0"
        assert entry["group"] == f"mcunet, batch {batch}"
        assert (entry["param"], entry["params"]) == (None, None)
        info = entry["extra_info"]
        wanted = {**OTHERS["memory"], **OTHERS["trace"], **OTHERS["fidelity"]}
        del wanted["parameter_bytes"]  # the headlines only
        assert {name: info[name] for name in wanted} == wanted
        assert info["run"].startswith("small-")
        assert info["interleaved"] is False
        assert entry["options"]["timer"] == "time.perf_counter_ns"


def test_the_table_shows_each_workload_by_itself(cells):
    result = cells()
    result.stdout.fnmatch_lines(
        [
            "*benchmark 'mcunet, batch 1': 1 tests*",
            "Name (time in ms) * Min * Max *",
            "mcunet/vanilla/all/b1/s0 * 10.0000 * 22.0000 *",
            "*benchmark 'mcunet, batch 2': 1 tests*",
            "mcunet/vanilla/all/b2/s0 * 100.0000 * 300.0000 *",
        ]
    )


@pytest.mark.parametrize("flags", [("--benchmark-save", "mine"), ("--benchmark-autosave",)])
def test_a_saved_session_can_be_compared_with(cells, flags):
    cells(*flags).assert_outcomes(passed=2)
    (saved,) = (cells.path / ".benchmarks").rglob("0001_*.json")
    assert len(entries(saved)) == 2
    result = cells("--benchmark-compare")
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(
        ["mcunet/vanilla/all/b1/s0 (0001_*)*", "mcunet/vanilla/all/b1/s0 (NOW)*"]
    )


def test_a_comparison_can_fail(cells, hosts):
    cells("--benchmark-save", "mine")
    slow = PassResult({"step_seconds": 1.0}, {"step_seconds": [1.0]})
    hosts.answer = lambda job: Reply("ok", result=slow)
    result = cells("--benchmark-compare", "--benchmark-compare-fail", "min:50%")
    assert result.ret != pytest.ExitCode.OK


@pytest.mark.skipif(find_spec("pygal") is None, reason="pytest-benchmark draws histograms by pygal")
def test_a_histogram_is_drawn(pytester, monkeypatch):
    monkeypatch.delenv("PYTEST_XDIST_WORKER", raising=False)
    pytester.makepyfile(
        """
        from ondevice_bench.testing.pytest_benchmark_adapter import BenchmarkRow, add_row

        def test_it(request):
            row = BenchmarkRow("a", "x::a", [0.1, 0.2, 0.4], extra_info={})
            add_row(request.config, row)
        """
    )
    # a process of its own: what pygal imports takes over how installed packages are found
    result = pytester.runpytest_subprocess("--benchmark-histogram", "drawn")
    result.assert_outcomes(passed=1)
    assert "x::a - 3 rounds" in (pytester.path / "drawn.svg").read_text()


def test_a_histogram_without_what_draws_it_is_refused_before_anything_is_measured(
    cells, monkeypatch, hosts
):
    from ondevice_bench.testing import pytest_benchmark_adapter

    monkeypatch.setattr(pytest_benchmark_adapter, "find_spec", lambda name: None)
    result = cells("--benchmark-histogram", "drawn")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*--benchmark-histogram needs pygal: pip install *"])
    assert hosts.jobs == []


def test_cells_are_benchmarks_to_its_flags(cells):
    cells("--benchmark-only").assert_outcomes(passed=2)
    skipped = cells("--benchmark-skip")
    skipped.assert_outcomes(skipped=2)
    assert skipped.ret == pytest.ExitCode.NO_TESTS_COLLECTED
    skipped.stdout.fnmatch_lines(["*nothing was measured: 2 × skipped before it was measured"])


def test_disabled_it_gets_nothing(cells):
    result = cells("--benchmark-disable")
    result.assert_outcomes(passed=2)
    result.stdout.no_fnmatch_line("*Name (time in*")


@pytest.mark.filterwarnings("ignore:Not saving anything")
def test_a_cell_without_times_has_no_row(cells):
    suite = cells.path / "suites" / "small.yaml"
    suite.write_text(SUITE.replace("memory, trace, time, fidelity", "trace"))
    result = cells("--benchmark-json", "out.json")
    result.assert_outcomes(passed=2)
    assert not (cells.path / "out.json").exists()


def test_without_it_cells_are_measured_all_the_same(cells, hosts):
    cells("-p", "no:benchmark").assert_outcomes(passed=2)
    assert len(hosts.jobs) == 2 * (3 + 1 + 2 + 1)


def test_one_module_alone_knows_its_inside():
    modules = Path(ondevice_bench.__file__).parent.rglob("*.py")
    knowing = [path.name for path in modules if "pytest_benchmark." in path.read_text()]
    assert knowing == ["pytest_benchmark_adapter.py"]
