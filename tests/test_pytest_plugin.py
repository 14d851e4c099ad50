"""`pytest --benchmark`, in sessions of their own; workers answer by themselves."""

import numpy  # noqa: F401  # pytester forgets what its sessions import; numpy loads only once
import pytest

from bench.record.store import Store
from bench.run import session as session_module
from bench.run.job import Reply
from tests.run.test_session import FakeZygote, well

pytest_plugins = ["pytester"]

SUITE = """\
schema: 1
title: t
models: [{mcunet: {batch: [1, 2]}}]
methods: [vanilla]
measure: [trace]
"""


@pytest.fixture
def tests(pytester, monkeypatch):
    """A project with a suite, an ordinary test, and a YAML file of somebody else."""
    monkeypatch.setattr(session_module, "ZygoteLauncher", FakeZygote)
    FakeZygote.seen, FakeZygote.answer = [], staticmethod(well)
    pytester.makefile(".yaml", **{"suites/small": SUITE, "other": "a: 1\n"})
    pytester.makepyfile(test_ordinary="def test_ordinary():\n    pass\n")
    return pytester


@pytest.fixture(autouse=True)
def suites_folder(pytester):
    (pytester.path / "suites").mkdir()


def statuses(pytester, suite="small"):
    with Store.open(pytester.path / "bench-out" / suite / "results.sqlite") as store:
        return {run.id: store.statuses(run.id) for run in store.runs()}


def test_without_the_flag_nothing_of_it_runs(tests):
    result = tests.runpytest()
    result.assert_outcomes(passed=1)
    assert FakeZygote.seen == []
    assert not (tests.path / "bench-out").exists()


def test_each_cell_is_an_item_and_ordinary_tests_are_not_collected(tests):
    result = tests.runpytest("--benchmark", "--suite", "small", "-v")
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(
        [
            "suites/small.yaml::mcunet/vanilla/all/b1/s0 PASSED*",
            "suites/small.yaml::mcunet/vanilla/all/b2/s0 PASSED*",
            "ondevice-bench: run small-* in bench-out/small/results.sqlite",
        ]
    )
    ((_, found),) = statuses(tests).items()
    assert sorted(found.values()) == ["ok", "ok"]


def test_the_default_suite_is_quick(tests):
    result = tests.runpytest("--benchmark", "--collect-only", "-q")
    result.stdout.fnmatch_lines(["quick.yaml::mcunet/vanilla/*"])
    assert FakeZygote.seen == []


def test_suites_can_be_given_as_files_beside_ordinary_tests(tests):
    result = tests.runpytest("--benchmark", "suites/small.yaml", "test_ordinary.py")
    result.assert_outcomes(passed=3)


def test_a_single_cell_can_be_named(tests):
    result = tests.runpytest("--benchmark", "suites/small.yaml", "-k", "b2")
    result.assert_outcomes(passed=1, deselected=1)
    assert [cell for cell, _ in FakeZygote.seen] == ["mcunet/vanilla/all/b2/s0"]
    ((_, found),) = statuses(tests).items()
    assert len(found) == 1


def test_a_cell_that_fails_is_a_failed_test_with_the_reason(tests):
    FakeZygote.answer = staticmethod(lambda job: Reply("failed", reason="ValueError: no"))
    result = tests.runpytest("--benchmark", "--suite", "small", "-x")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["trace, round 1: failed: ValueError: no"])
    result.stdout.no_fnmatch_line("*Traceback*")


def test_a_cell_of_another_board_is_skipped_with_the_reason(tests):
    (tests.path / "suites" / "small.yaml").write_text(SUITE + "hardware: [x86, pi5, generic]\n")
    result = tests.runpytest("--benchmark", "--suite", "small", "-rs")
    assert result.parseoutcomes()["skipped"] >= 4
    result.stdout.fnmatch_lines(["*pending on pi5*"])


def test_a_run_of_pytest_is_never_gone_on_with(tests):
    for _ in range(2):
        tests.runpytest("--benchmark", "--suite", "small").assert_outcomes(passed=2)
    assert len(statuses(tests)) == 2


def test_a_wrong_suite_is_one_clear_error(tests):
    (tests.path / "suites" / "small.yaml").write_text(SUITE + "round: 2\n")
    result = tests.runpytest("--benchmark", "--suite", "small")
    assert result.ret == pytest.ExitCode.INTERRUPTED
    result.stdout.fnmatch_lines(["*small.yaml:6: unknown key 'round'; did you mean 'rounds'?*"])


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--benchmark", "--suite", "smal"), "*unknown suite 'smal'; did you mean 'small'*"),
        (("--suite", "small"), "*give both*"),
    ],
)
def test_wrong_flags_are_usage_errors(tests, arguments, says):
    result = tests.runpytest(*arguments)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([says])


def test_a_selection_without_cells_is_not_green(tests):
    result = tests.runpytest("--benchmark", "--suite", "small", "-k", "nothing")
    assert result.ret == pytest.ExitCode.NO_TESTS_COLLECTED
