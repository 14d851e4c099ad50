"""`pytest --benchmark` over rounds: the order of measuring, and a baseline to stand against."""

import json
import sys

import numpy  # noqa: F401  # pytester forgets what its sessions import; numpy loads only once
import pytest

from ondevice_bench.protocol.job import Reply
from ondevice_bench.record.store import Store
from tests.running.test_session import well
from tests.testing.conftest import RUN_AGAIN, SUITE, answering, statuses

pytest_plugins = ["pytester"]


# the order of measuring

IN_ROUNDS = SUITE.replace("[trace]", "[trace, time]") + "rounds: 8\n"


@pytest.fixture
def in_rounds(tests, hosts):
    """The suite with rounds enough for a verdict."""
    (tests.path / "suites" / "small.yaml").write_text(IN_ROUNDS)
    hosts.answer = answering()
    return tests


def settings_of(tests):
    with Store.open(tests.path / "bench-out/small/results.sqlite") as store:
        return [run.settings["interleaved"] for run in store.runs()]


def test_items_run_one_by_one_and_their_run_says_so(in_rounds, hosts):
    in_rounds.runpytest("--benchmark", "--suite", "small").assert_outcomes(passed=2)
    order = hosts.cells
    assert order == sorted(order)
    assert settings_of(in_rounds) == [False]


def test_interleaved_the_plan_is_measured_first_in_turn(in_rounds, hosts):
    asked = ("--benchmark", "--suite", "small", "--interleave")
    in_rounds.runpytest(*asked).assert_outcomes(passed=2)
    order = hosts.cells
    assert order != sorted(order)
    assert len(order) == 2 * 9
    assert settings_of(in_rounds) == [True]
    ((_, found),) = statuses(in_rounds).items()
    assert len(found) == 2 * 9


def test_interleaved_an_item_reports_its_own_failure(in_rounds, hosts):
    bad = Reply("failed", reason="ValueError: no")
    hosts.answer = lambda job: bad if job.cell.batch == 1 else well(job)
    result = in_rounds.runpytest("--benchmark", "--suite", "small", "--interleave")
    result.assert_outcomes(failed=1, passed=1)
    result.stdout.fnmatch_lines(["trace, round 1: failed: ValueError: no"])


def test_looking_at_the_cells_measures_nothing_even_interleaved(in_rounds, hosts):
    in_rounds.runpytest("--benchmark", "--suite", "small", "--interleave", "--collect-only")
    assert hosts.jobs == []


# against a baseline


def gated(tests, hosts, *more, first=(), of_one=None, **what):
    """Measure a base, then again with these answers against it, or with `of_one` for one cell."""
    hosts.answer = answering()
    tests.runpytest("--benchmark", "--suite", "small", *first).assert_outcomes(passed=2)
    answer = answering(**what)
    hosts.answer = lambda job: of_one if of_one and job.cell.batch == 1 else answer(job)
    return tests.runpytest("--benchmark", "--suite", "small", "--baseline", "small", *more)


def test_nothing_changed_is_green_and_says_so(in_rounds, hosts):
    result = gated(in_rounds, hosts)
    result.assert_outcomes(passed=2)
    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(["*base small-*, new small-*: 0 regressed, * 4 unchanged"])


def test_an_exact_metric_that_rose_fails_its_cells(in_rounds, hosts):
    result = gated(in_rounds, hosts, activations=101.0)
    result.assert_outcomes(failed=2)
    result.stdout.fnmatch_lines(
        ["regressed: mcunet/vanilla/all/b1/s0: activation_bytes: 100 bytes → 101 bytes (1.01×)"]
    )


def test_the_last_attempt_of_a_cell_that_is_run_again_counts(tests, hosts):
    hosts.answer = answering()
    tests.runpytest("--benchmark", "--suite", "small").assert_outcomes(passed=2)
    worse, well_again, seen = answering(activations=101.0), answering(), set()

    def answer(job):
        is_first = job.cell.id not in seen
        seen.add(job.cell.id)
        return (worse if is_first else well_again)(job)

    hosts.answer = answer
    (tests.path / "conftest.py").write_text(RUN_AGAIN)
    result = tests.runpytest("--benchmark", "--suite", "small", "--baseline", "small")
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(["*base small-*, new small-*: 0 regressed, * 2 unchanged"])


def test_a_cell_of_two_suites_is_judged_in_each_of_them(tests, hosts):
    hosts.answer = answering()
    tests.runpytest("--benchmark", "--suite", "small").assert_outcomes(passed=2)
    (tests.path / "suites" / "twin.yaml").write_text(SUITE)
    well_later, worse, seen = answering(), answering(activations=101.0), set()

    def answer(job):  # only the first suite is worse
        is_first = job.cell.id not in seen
        seen.add(job.cell.id)
        return (worse if is_first else well_later)(job)

    hosts.answer = answer
    asked = ("--benchmark", "--suite", "small", "--suite", "twin", "--baseline", "small")
    result = tests.runpytest(*asked)
    result.assert_outcomes(failed=2, passed=2)
    result.stdout.fnmatch_lines(["*base small-*: 2 regressed, * 2 unchanged"])


def test_a_step_that_got_slower_fails_with_the_ratio_and_its_interval(in_rounds, hosts):
    result = gated(in_rounds, hosts, step=1.5)
    result.assert_outcomes(failed=2)
    result.stdout.fnmatch_lines(
        ["regressed: mcunet/vanilla/all/b1/s0: step_seconds: 1.00 s → 1.50 s (1.50×, * … *)"]
    )
    result.stdout.no_fnmatch_line("*Traceback*")


def test_a_small_difference_needs_runs_that_were_interleaved(in_rounds, hosts):
    alone = gated(in_rounds, hosts, step=1.08)
    alone.assert_outcomes(passed=2)
    alone.stdout.fnmatch_lines(["*not interleaved: small-*: * thresholds * 2 times as high"])
    turns = gated(in_rounds, hosts, "--interleave", first=("--interleave",), step=1.08)
    turns.assert_outcomes(failed=2)
    turns.stdout.no_fnmatch_line("*not interleaved*")


def test_what_is_inconclusive_is_said_and_is_no_failure(in_rounds, hosts):
    result = gated(in_rounds, hosts, step=1.1)
    result.assert_outcomes(passed=2)
    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(["*inconclusive: mcunet/vanilla/all/b1/s0: step_seconds: *"])


def test_a_chosen_cell_is_judged_alone(in_rounds, hosts):
    result = gated(in_rounds, hosts, "-k", "b2", activations=101.0)
    result.assert_outcomes(failed=1, deselected=1)
    result.stdout.no_fnmatch_line("*only in*")


def test_the_summary_of_the_job_knows_of_a_cell_that_failed(in_rounds, hosts, monkeypatch):
    summary = in_rounds.path / "summary.md"
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
    result = gated(in_rounds, hosts, of_one=Reply("failed", reason="ValueError: no"))
    result.assert_outcomes(failed=1, passed=1)
    assert summary.read_text().startswith("## ❌ Worse: rounds of 1 cell failed")


def test_a_chosen_cell_that_is_new_has_nothing_to_fail_against(in_rounds, hosts):
    hosts.answer = answering()
    in_rounds.runpytest("--benchmark", "--suite", "small").assert_outcomes(passed=2)
    more = IN_ROUNDS.replace("[1, 2]", "[1, 2, 4]")
    (in_rounds.path / "suites" / "small.yaml").write_text(more)
    asked = ("--benchmark", "--suite", "small", "--baseline", "small", "-k", "b4")
    result = in_rounds.runpytest(*asked)
    result.assert_outcomes(passed=1, deselected=2)
    assert result.ret == pytest.ExitCode.OK


def test_a_baseline_without_these_cells_is_not_green(in_rounds):
    tests = in_rounds
    tests.runpytest("--benchmark", "--suite", "small").assert_outcomes(passed=2)
    (tests.path / "suites/small.yaml").write_text(IN_ROUNDS.replace("[1, 2]", "[3]"))
    result = tests.runpytest("--benchmark", "--suite", "small", "--baseline", "small")
    result.assert_outcomes(passed=1)
    assert result.ret == pytest.ExitCode.NO_TESTS_COLLECTED
    result.stdout.fnmatch_lines(
        ["*only in small-*: mcunet/vanilla/all/b1/s0", "*not everything of the baseline*"]
    )


def test_a_cell_of_the_baseline_that_its_worker_refuses_now_is_not_green(in_rounds, hosts):
    result = gated(in_rounds, hosts, of_one=Reply("skipped", reason="too thin"))
    result.assert_outcomes(passed=1, skipped=1)
    assert result.ret == pytest.ExitCode.NO_TESTS_COLLECTED
    result.stdout.fnmatch_lines(
        [
            "*missing: mcunet/vanilla/all/b1/s0: activation_bytes: *",
            "*not everything of the baseline*",
        ]
    )


def test_a_cell_of_the_baseline_that_the_plan_skips_now_is_not_green(in_rounds):
    tests = in_rounds
    tests.runpytest("--benchmark", "--suite", "small").assert_outcomes(passed=2)
    needs = 'when: [{cells: "*/b1/*", memory_gib: 1000000}]\n'
    (tests.path / "suites/small.yaml").write_text(IN_ROUNDS + needs)
    result = tests.runpytest("--benchmark", "--suite", "small", "--baseline", "small")
    result.assert_outcomes(passed=1, skipped=1)
    assert result.ret == pytest.ExitCode.NO_TESTS_COLLECTED
    result.stdout.fnmatch_lines(
        ["*only in small-*: mcunet/vanilla/all/b1/s0", "*not everything of the baseline*"]
    )


SKIPPING = """

import pytest


def pytest_collection_modifyitems(items):
    for item in items:
        if "/b1/" in item.name:
            item.add_marker(pytest.mark.skip(reason="slow"))
"""


def test_a_cell_of_the_baseline_that_a_mark_skips_now_is_not_green(in_rounds, hosts):
    hosts.answer = answering()
    in_rounds.runpytest("--benchmark", "--suite", "small").assert_outcomes(passed=2)
    conftest = in_rounds.path / "conftest.py"
    conftest.write_text(conftest.read_text() + SKIPPING)
    asked = ("--benchmark", "--suite", "small", "--baseline", "small")
    result = in_rounds.runpytest(*asked)
    result.assert_outcomes(passed=1, skipped=1)
    assert result.ret == pytest.ExitCode.NO_TESTS_COLLECTED
    result.stdout.fnmatch_lines(
        ["*only in small-*: mcunet/vanilla/all/b1/s0", "*not everything of the baseline*"]
    )


def test_a_session_that_stops_early_loses_no_cell(in_rounds, hosts):
    result = gated(in_rounds, hosts, "-x", of_one=Reply("failed", reason="ValueError: no"))
    result.assert_outcomes(failed=1)
    result.stdout.no_fnmatch_line("*only in*")


def test_a_session_that_is_interrupted_loses_no_cell(in_rounds, hosts):
    in_rounds.runpytest("--benchmark", "--suite", "small").assert_outcomes(passed=2)

    def answer(job):
        if job.cell.batch == 2:
            raise KeyboardInterrupt
        return well(job)

    hosts.answer = answer
    asked = ("--benchmark", "--suite", "small", "--baseline", "small")
    result = in_rounds.runpytest(*asked, no_reraise_ctrlc=True)
    assert result.ret == pytest.ExitCode.INTERRUPTED
    result.stdout.fnmatch_lines(["*base small-*, new small-*"])
    result.stdout.no_fnmatch_line("*only in*")


def test_another_machines_times_are_not_judged(in_rounds, hosts):
    tests = in_rounds
    tests.runpytest("--benchmark", "--suite", "small").assert_outcomes(passed=2)
    tests.run(sys.executable, "-m", "ondevice_bench", "baseline", "save", "main", "small")
    kept = tests.path / "baselines/main.json"
    values = json.loads(kept.read_text())
    values["run"]["machine"]["cpu"] = "another"
    kept.write_text(json.dumps(values))
    hosts.answer = answering(step=9.0)
    asked = ("--benchmark", "--suite", "small", "--baseline", "baselines/main.json")
    result = tests.runpytest(*asked)
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(
        ["*different: machine cpu: another → *", "*not compared: times and memory * (cpu)"]
    )
    hosts.answer = answering(step=9.0, activations=200.0)
    tests.runpytest(*asked).assert_outcomes(failed=2)
