"""`bench_step`: steps of the user's own, in sessions of their own."""

import json
import re
import sys

import numpy  # noqa: F401  # pytester forgets what its sessions import; numpy loads only once
import pytest

from ondevice_bench.hardware.state import HardwareState
from ondevice_bench.protocol.job import PassResult, Reply
from ondevice_bench.running.hosts.fake import FakeHost
from tests.testing.conftest import stored_steps, well_step

pytest_plugins = ["pytester"]

STEPS = """\
import torch
from torch import nn

BATCH, IN, WIDE, OUT = 32, 48, 256, 16


def setup():
    model = nn.Sequential(nn.Linear(IN, WIDE), nn.ReLU(), nn.Linear(WIDE, OUT))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    return model, optimizer, torch.randn(BATCH, IN)


def step(model, optimizer, batch):
    model(batch).sum().backward()
    optimizer.step()
    optimizer.zero_grad()
"""
# first: forward and weight gradient; second: those and the gradient of its input
FLOPS = 2 * 2 * 32 * 48 * 256 + 3 * 2 * 32 * 256 * 16
ACTIVATIONS = 32 * 256 * 4  # the ReLU's result


def test_it_needs_neither_the_flag_nor_pytest_benchmark(steps, hosts):
    test = "def test_it(bench_step):\n    assert bench_step(step).activation_bytes == 4096\n"
    result = steps(test, "-p", "no:benchmark")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(
        ["bench_step: test_mine.py::test_it: step 20.0 ms, peak memory * MiB, *2.00 GFLOP"]
    )
    assert [job.pass_name for job in hosts.jobs] == [
        "step_trace",
        "step_time",
        "step_memory",
    ]
    (job, *_) = hosts.jobs
    assert job.step["step"] == {
        "module": "test_mine",
        "file": str(steps.path / "test_mine.py"),
        "name": "step",
    }
    assert job.step["setup"] is None
    assert str(steps.path) in job.step["path"]
    (host,) = hosts.opened
    assert not host.is_open


def test_rounds_are_fresh_processes_and_give_intervals(steps, hosts):
    test = """\
def test_it(bench_step):
    found = bench_step(step, setup=setup, rounds=3)
    assert found.samples == ((0.01, 0.02, 0.03),) * 3
    assert found.step_seconds.estimate == 0.02
    peak = found.peak_rss_over_runtime_bytes
    assert peak.lower < peak.estimate < peak.upper
    assert found.step_flops == 2_000_000_000
"""
    steps(test).assert_outcomes(passed=1)
    (host,) = hosts.opened
    each = ["step_time", "step_memory"]
    assert [job.pass_name for job in host.jobs] == ["step_trace", *each, *each, *each]
    assert host.renewals == 2  # between the rounds


def test_a_figure_that_is_missing_says_why(steps, hosts):
    def without(job):
        if job.pass_name == "step_trace":
            why = {"activation_bytes": "no backward"}
            return Reply("ok", result=PassResult({"step_flops": 0.0}, unavailable=why))
        return well_step(job)

    hosts.answer = without
    test = "def test_it(bench_step):\n    bench_step(step).activation_bytes\n"
    result = steps(test)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*NotMeasured: activation_bytes was not measured: no backward"])


def test_results_are_stored_like_cells(steps, hosts):
    test = """\
def test_it(bench_step):
    found = bench_step(step, rounds=2)
    assert repr(found).startswith("StepResult(step_seconds 20.0 ms, ")
    assert len(repr(found)) < 200
    bench_step(step)
"""
    result = steps(test)
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["bench_step: run steps-* in bench-out/steps/results.sqlite"])
    (summary,) = stored_steps(steps)
    assert summary.run.finished
    assert [cell.status for cell in summary.cells] == ["ok", "ok"]
    first, second = summary.cells
    assert re.fullmatch(
        r"test_mine\.py:step@[0-9a-f]{8}\(test=test_mine\.py::test_it\)/vanilla/all/b1/s0", first.id
    )
    assert second.planned.cell.model_options == (("test", "test_mine.py::test_it (2)"),)
    assert first.estimates["activation_bytes"].estimate == 4096
    assert len(first.samples["step_seconds"]) == 2
    # what is stored is a run like any other
    history = steps.run(sys.executable, "-m", "ondevice_bench", "show", "cell", first.id)
    history.stdout.fnmatch_lines(["*pytest test_mine.py::test_it*"])


def test_tests_whose_names_differ_in_a_slash_are_two_cells(steps):
    test = """\
import pytest

@pytest.mark.parametrize("name", ["a/b", "a.b"])
def test_it(bench_step, name):
    bench_step(step)
"""
    steps(test).assert_outcomes(passed=2)
    (summary,) = stored_steps(steps)
    assert [each.id.partition("::")[2] for each in summary.cells] == [
        f"test_it[{name}])/vanilla/all/b1/s0" for name in ("a%2Fb", "a.b")
    ]


def test_a_folder_that_cannot_be_made_loses_the_history_and_says_so(steps):
    (steps.path / "bench-out").write_text("a file")
    result = steps("def test_it(bench_step):\n    bench_step(step)\n")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["bench_step: not stored: bench-out/steps*"])


def _assert_refused_in_a_line(result, hosts, line):
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines([f"bench_step: {line}"])
    result.stdout.no_fnmatch_line("*Traceback*")
    result.stdout.no_fnmatch_line("*During handling*")
    assert hosts.jobs == []


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ("bench_step(lambda a: None)", "step is a lambda: "),
        ("bench_step(step, lambda: 1)", "setup is a lambda: "),
        ("bench_step(inner)", "step (inner) is defined inside another function: "),
        ("bench_step(A.method)", "step (method) is defined inside a class: "),
        ("bench_step(print)", "step is a builtin_function_or_method, not a function: "),
        ("bench_step(A())", "step is a A, not a function: "),
        ("bench_step(hidden)", "step (step) is not the function of that name in test_mine: "),
        ("bench_step(step, rounds=0)", "rounds must be an integer of at least 1, got 0"),
    ],
)
def test_what_a_fresh_process_cannot_import_is_refused_in_a_line(steps, hosts, said, why):
    test = f"""\
class A:
    def method(a):
        pass

hidden = step

def step(b):
    pass

def test_it(bench_step):
    def inner():
        pass
    {said}
"""
    _assert_refused_in_a_line(steps(test), hosts, f"{why}*")


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ("bench_step(waits)", "step (waits) is a coroutine function: *asyncio.run"),
        ("bench_step(streams)", "step (streams) is an asynchronous generator function: *"),
        ("bench_step(gives)", "step (gives) is a generator function: *by a loop over it"),
        ("bench_step(step, setup=waits)", "setup (waits) is a coroutine function: *"),
    ],
)
def test_a_function_of_which_a_call_runs_nothing_is_refused_in_a_line(steps, hosts, said, why):
    test = f"""\
async def waits():
    pass

async def streams():
    yield

def gives():
    yield

def test_it(bench_step):
    {said}
"""
    _assert_refused_in_a_line(steps(test), hosts, why)


def test_a_step_that_a_method_refuses_fails_and_is_not_called_skipped(steps, hosts):
    hosts.answer = lambda _: Reply("skipped", "asi: this network has no such layers")
    result = steps("def test_it(bench_step):\n    bench_step(step)\n")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["bench_step: trace: refused: asi: this network has no such*"])


def test_a_step_that_raises_fails_the_test_with_its_own_traceback(steps, hosts):
    bad = Reply("failed", "ValueError: no", "Traceback …\n  line 7, in step\nValueError: no")
    hosts.answer = lambda job: bad
    result = steps("def test_it(bench_step):\n    bench_step(step)\n")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["bench_step: trace: failed: ValueError: no", "*line 7, in step"])


def test_a_step_whose_file_changes_while_it_is_measured_is_not_stored(steps, hosts):
    def edited(job):
        if job.pass_name == "step_memory":
            with (steps.path / "test_mine.py").open("a") as file:
                file.write("# another version")
        return well_step(job)

    hosts.answer = edited
    result = steps("def test_it(bench_step):\n    bench_step(step, setup)\n")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["bench_step: *test_mine.py or a file that it imports changed *"])
    assert not (steps.path / "bench-out").exists()


def test_a_time_under_throttling_has_a_note(steps, hosts, monkeypatch):
    hot = HardwareState(0.0, 1 << 30, 0, None, 85.0, throttle_bits=4)
    monkeypatch.setattr(FakeHost, "state", lambda self: hot)
    result = steps("def test_it(bench_step):\n    bench_step(step)\n")
    result.stdout.fnmatch_lines(["*; the board reported throttling meanwhile: throttled"])
    ((cell,),) = (summary.cells for summary in stored_steps(steps))
    assert cell.notes == ("time: the board reported throttling meanwhile: throttled",)


def test_each_call_is_a_row_of_pytest_benchmark(steps):
    test = """\
import pytest

@pytest.mark.parametrize("width", [3])
def test_it(bench_step, width):
    bench_step(step)
    bench_step(step)
"""
    result = steps(test, "--benchmark-json", "out.json")
    result.assert_outcomes(passed=1)
    one, other = json.loads((steps.path / "out.json").read_text())["benchmarks"]
    assert one["stats"]["data"] == [0.01, 0.02, 0.03]
    assert one["extra_info"]["peak_rss_bytes"] == 3e8
    assert one["extra_info"]["activation_bytes"] == 4096
    assert (one["param"], one["params"]) == ("3", {"width": 3})
    assert one["fullname"] == "test_mine.py::test_it[3]"
    assert other["fullname"] == "test_mine.py::test_it[3] (2)"


def test_benchmarks_can_be_skipped(steps):
    steps("def test_it(bench_step):\n    bench_step(step)\n", "--benchmark-skip").assert_outcomes(
        skipped=1
    )


def test_a_session_of_benchmarks_only_keeps_the_steps(steps):
    test = """\
import pytest

@pytest.mark.parametrize("width", [1, 2])
def test_it(bench_step, width):
    bench_step(step)

def test_other():
    pass
"""
    steps(test, "--benchmark-only").assert_outcomes(passed=2, skipped=1)


def test_processes_are_started_once_a_session(steps, hosts):
    test = "def test_one(bench_step):\n    bench_step(step)\n"
    steps(test + test.replace("one", "two")).assert_outcomes(passed=2)
    assert len(hosts.opened) == 1


def test_an_unknown_profile_is_said_in_a_line(steps):
    test = "def test_it(bench_step):\n    bench_step(step)\n"
    result = steps(test, "--hardware", "pi55")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["bench_step: unknown hardware 'pi55'; did you mean 'pi5'? *"])


def test_under_xdist_it_is_refused(pytester, monkeypatch):
    monkeypatch.delenv("PYTEST_XDIST_WORKER", raising=False)
    pytester.makepyfile(test_mine="def test_it(bench_step):\n    pass\n")
    result = pytester.runpytest_subprocess("-n", "1", "-p", "no:benchmark")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(
        ["bench_step cannot run with pytest-xdist: other tests would disturb it"]
    )


def test_a_real_step_that_returns_what_nobody_ran_is_refused_in_a_line(pytester, forking_conftest):
    pytester.makeconftest(forking_conftest)
    pytester.makepyfile(
        """\
import functools


def plain(function):
    @functools.wraps(function)
    def call(*arguments):
        return function(*arguments)
    return call


@plain
async def step():
    raise AssertionError


def test_it(bench_step):
    bench_step(step)
"""
    )
    result = pytester.runpytest_subprocess("-p", "no:benchmark")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        ["bench_step: trace: refused: step returned a coroutine, which was never run: *"]
    )
    result.stdout.no_fnmatch_line("*never awaited*")
    result.stdout.no_fnmatch_line("*Traceback*")


def test_a_real_step_has_the_figures_that_its_definition_gives(pytester, forking_conftest):
    pytester.makeconftest(forking_conftest)
    pytester.makepyfile(
        steps=STEPS,
        test_mine=f"""\
from steps import setup, step

def test_it(bench_step):
    found = bench_step(step, setup=setup)
    assert found.activation_bytes == {ACTIVATIONS}
    assert found.step_flops == {FLOPS}
    assert found.step_seconds.lower <= found.step_seconds.estimate <= found.step_seconds.upper
    assert len(found.samples[0]) >= 10
    over_runtime = found.peak_rss_over_runtime_bytes.estimate
    assert found.peak_rss_over_ready_bytes.estimate <= over_runtime
    assert over_runtime < found.peak_rss_bytes.estimate

def test_without_its_setup(bench_step):
    bench_step(step)
""",
    )
    result = pytester.runpytest_subprocess("-p", "no:benchmark")
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(
        ["bench_step: trace: refused: step(*) cannot be called: missing *; there is no setup*"]
    )
