"""Our options beside those of a repository that nobody here wrote."""

import re
from importlib.util import find_spec

import numpy  # noqa: F401  # pytester forgets what its sessions import; numpy loads only once
import pytest

from tests.running.test_session import well
from tests.testing.conftest import CONFTEST, SUITE, statuses, well_step

pytest_plugins = ["pytester"]

OPTIONS = """\
def pytest_addoption(parser):
    parser.addoption("--benchmark", action="store_true")
    parser.addoption("--suite", default="all", choices=["all", "smoke"])
    parser.addoption("--hardware", type=int, default=0)
    parser.addoption("--baseline", action="store_true")
    parser.addoption("--interleave", nargs=2)


"""
BENCH = """\
def step():
    import torch

    torch.ones(4, 4, requires_grad=True).exp().sum().backward()
"""
TEST = """\
import asyncio
import random

import bench


def test_options(request):
    option = request.config.option
    assert (option.benchmark, option.suite, option.hardware, option.baseline) == {expected}


def test_a_step(bench_step):
    assert bench_step(bench.step).activation_bytes > 0


def test_a_random_number():
    assert random.random() < 1


async def work():
    return 1


def test_a_loop():
    assert asyncio.run(work()) == 1
"""
PLAIN = (False, "all", 0, False)


@pytest.fixture
def repository(pytester, monkeypatch):
    """A repository with a `bench.py`, a folder `suites/`, and options with our short names."""
    monkeypatch.delenv("PYTEST_XDIST_WORKER", raising=False)
    pytester.makepyfile(bench=BENCH, test_it=TEST.format(expected=PLAIN))
    pytester.makeini("[pytest]\naddopts = --strict-markers --strict-config\n")
    (pytester.path / "suites").mkdir()
    pytester.makefile(".yaml", **{"suites/small": SUITE})
    pytester.makeconftest(OPTIONS)
    return pytester


@pytest.fixture
def without_processes(repository, hosts):
    """The same repository. Its conftest chooses a host that starts no process."""
    hosts.answer = lambda job: (well_step if job.step else well)(job)
    repository.makeconftest(OPTIONS + CONFTEST)
    return repository


# plain sessions


def test_plain_pytest_passes_there_and_measures_a_step(repository):
    result = repository.runpytest_subprocess()
    result.assert_outcomes(passed=4)
    result.stdout.fnmatch_lines(["bench_step: test_it.py::test_a_step: step *"])


@pytest.mark.parametrize(
    ("module", "flags"),
    [
        ("pytest", ["-p", "no:cacheprovider"]),
        ("pytest_benchmark", ["-p", "no:benchmark"]),
        ("pytest_timeout", ["--timeout", "60"]),
        ("pytest_randomly", ["-p", "randomly"]),
        ("pytest_asyncio", ["--asyncio-mode", "auto"]),
        ("pytest_cov", ["--cov", "bench"]),
    ],
)
def test_plain_pytest_passes_there_with_other_plugins(without_processes, module, flags):
    if find_spec(module) is None:
        pytest.skip(f"{module} is not installed")
    without_processes.runpytest(*flags).assert_outcomes(passed=4)


def test_under_xdist_all_but_steps_pass_there(repository):
    result = repository.runpytest_subprocess("-n", "2", "-p", "no:benchmark")
    result.assert_outcomes(passed=3, errors=1)
    result.stdout.fnmatch_lines(["bench_step cannot run with pytest-xdist: *"])


def test_a_plain_session_has_no_option_and_no_mark_of_ours(repository):
    repository.makepyfile(
        test_it="""\
        def test_options(request):
            assert not [name for name in vars(request.config.option) if "ondevice" in name]
        """,
        test_marked="import pytest\n\n\n@pytest.mark.bench\ndef test_it():\n    pass\n",
    )
    repository.runpytest("test_it.py").assert_outcomes(passed=1)
    shown = repository.runpytest("--fixtures").stdout.str()
    ours = shown.partition("from ondevice_bench.pytest_plugin")[2].partition("defined from")[0]
    assert re.findall(r"^(\w+).* -- ", ours, re.MULTILINE) == ["bench_step"]
    # pytest remembers the marks of earlier sessions of a process
    result = repository.runpytest_subprocess("test_marked.py")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*'bench' not found in `markers` configuration option*"])


def test_fixtures_of_pytest_benchmark_give_the_same_with_and_without_us(repository):
    repository.makepyfile(
        test_it="""\
        def test_rounds(benchmark):
            assert benchmark.pedantic(sum, ([1, 2],), rounds=3) == 3


        def test_fast(benchmark):
            benchmark(lambda: None)
            assert benchmark.stats.stats.rounds > 0


        def test_wrong(benchmark):
            assert benchmark(lambda: 1) == 2
        """
    )
    flags = ("--benchmark-max-time", "0.01", "--benchmark-min-rounds", "2")
    for without in ((), ("-p", "no:ondevice_bench")):
        result = repository.runpytest(*flags, *without)
        result.assert_outcomes(passed=2, failed=1)
        result.stdout.fnmatch_lines(["*benchmark: 3 tests*"])


# options that others have


def test_options_of_a_conftest_behave_as_without_us(without_processes, hosts):
    without_processes.makepyfile(test_it=TEST.format(expected=(True, "smoke", 3, True)))
    words = ("--benchmark", "--suite", "smoke", "--hardware=3", "--baseline")
    without_processes.runpytest(*words).assert_outcomes(passed=4)
    assert {job.pass_name for job in hosts.jobs} == {"step_trace", "step_time", "step_memory"}
    for wrong in (["--suite", "small"], ["--hardware", "pi5"], ["--interleave", "1"]):
        assert without_processes.runpytest(*wrong).ret == pytest.ExitCode.USAGE_ERROR


def test_the_names_with_bench_measure_cells_there(without_processes):
    words = ("--bench-cells", "--bench-suite=small", "--bench-interleave")
    result = without_processes.runpytest(*words, "--bench-hardware", "generic")
    result.assert_outcomes(passed=2)
    (key,) = statuses(without_processes)
    again = without_processes.runpytest(*words, "--bench-baseline", key)
    again.stdout.fnmatch_lines([f"*base {key}, new small-*"])
    mixed = without_processes.runpytest("--bench-cells", "--bench-suite", "small", "--suite=smoke")
    mixed.assert_outcomes(passed=2)


def test_a_plugin_can_have_a_short_name(without_processes):
    without_processes.makeconftest(CONFTEST)
    without_processes.syspathinsert()
    without_processes.makepyfile(
        theirs='def pytest_addoption(parser):\n    parser.addoption("--suite")\n'
    )
    words = ("-p", "theirs", "--benchmark")
    result = without_processes.runpytest(*words, "--suite", "x", "--bench-suite", "small")
    result.assert_outcomes(passed=2)


def test_a_plugin_can_have_a_name_with_bench(without_processes):
    without_processes.makeconftest(
        CONFTEST + "def pytest_addoption(parser):\n    parser.addoption('--bench-suite')\n"
    )
    words = ("--benchmark", "--suite", "small", "--bench-suite", "x")
    without_processes.runpytest(*words).assert_outcomes(passed=2)


def test_a_conftest_that_is_loaded_late_can_have_a_short_name(without_processes):
    without_processes.makeconftest(CONFTEST)
    late = without_processes.path / "checks" / "late"
    late.mkdir(parents=True)
    (late / "conftest.py").write_text(OPTIONS)
    (late / "test_late.py").write_text("def test_it():\n    pass\n")
    result = without_processes.runpytest("--benchmark", "--suite", "small", "checks")
    result.assert_outcomes(passed=3)


# where words of ours are found


def test_options_count_wherever_pytest_finds_them(without_processes, monkeypatch):
    without_processes.makeconftest(CONFTEST)
    without_processes.makeini("[pytest]\naddopts = --suite small\n")
    monkeypatch.setenv("PYTEST_ADDOPTS", "--benchmark")
    without_processes.runpytest("--bench-store=out").assert_outcomes(passed=2)
    assert len(statuses(without_processes, folder="out")) == 1


def test_values_of_our_options_are_no_places_of_tests(without_processes):
    checks = without_processes.mkpydir("checks")
    without_processes.path.joinpath("conftest.py").rename(checks / "conftest.py")
    (checks / "conftest.py").write_text(CONFTEST)
    without_processes.makeini("[pytest]\ntestpaths = checks\n")
    result = without_processes.runpytest("--benchmark", "--suite", "small")
    result.assert_outcomes(passed=2)


def test_the_plugin_can_be_loaded_by_name(without_processes, monkeypatch):
    without_processes.makeconftest(CONFTEST)
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    words = ("-p", "ondevice_bench", "--benchmark", "--suite", "small")
    without_processes.runpytest(*words).assert_outcomes(passed=2)


# help


def test_help_shows_both_names(without_processes):
    without_processes.makeconftest("")
    result = without_processes.runpytest("--help")
    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(
        [
            "on-device training benchmarks:",
            "  --benchmark, --bench-cells*",
            "  --suite=NAME, --bench-suite=NAME*",
            "  --hardware=NAME, --bench-hardware=NAME*",
            "  --baseline=REF, --bench-baseline=REF*",
            "  --bench-store=PATH*",
            "  --bench-report=PATH*",
            "  --interleave, --bench-interleave*",
        ]
    )


def test_help_shows_our_free_names_beside_the_options_of_others(without_processes):
    result = without_processes.runpytest("--help")
    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(["  --suite={all,smoke}*"])
    result.stdout.fnmatch_lines(["  --bench-cells*", "  --bench-suite=NAME*"])
    result.stdout.no_fnmatch_line("*--benchmark, *")
