"""`pytest --benchmark`, in sessions of their own; workers answer by themselves."""

import subprocess
import sys

import numpy  # noqa: F401  # pytester forgets what its sessions import; numpy loads only once
import pytest

from ondevice_bench.protocol.job import Reply
from ondevice_bench.record.store import Store
from tests.running.test_session import well
from tests.testing.conftest import SUITE, answering, statuses

pytest_plugins = ["pytester"]


def test_without_the_flag_nothing_of_it_runs(tests, hosts):
    result = tests.runpytest()
    result.assert_outcomes(passed=1)
    assert hosts.jobs == []
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


def test_the_default_suite_is_quick(tests, hosts):
    result = tests.runpytest("--benchmark", "--collect-only", "-q")
    result.stdout.fnmatch_lines(["quick.yaml::mcunet/vanilla/*"])
    assert hosts.jobs == []


def test_suites_can_be_given_as_files_beside_ordinary_tests(tests):
    result = tests.runpytest("--benchmark", "suites/small.yaml", "test_ordinary.py")
    result.assert_outcomes(passed=3)


def test_a_single_cell_can_be_named(tests, hosts):
    result = tests.runpytest("--benchmark", "suites/small.yaml", "-k", "b2")
    result.assert_outcomes(passed=1, deselected=1)
    assert hosts.cells == ["mcunet/vanilla/all/b2/s0"]
    ((_, found),) = statuses(tests).items()
    assert len(found) == 1


def test_a_cell_that_fails_is_a_failed_test_with_the_reason(tests, hosts):
    hosts.answer = lambda job: Reply("failed", reason="ValueError: no")
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
        (("--benchmark", "--suite", "a" * 300), "*unknown suite 'aaa*"),
        (("--suite", "small"), "*--suite goes with --benchmark*"),
        (("--interleave",), "*--interleave goes with --benchmark*"),
        (("--bench-report", "x"), "*--bench-report goes with --benchmark*"),
        (("--benchmark", "--hardware", "pi55"), "*unknown hardware 'pi55'; did you mean*"),
        (("--benchmark", "--hardware", "pi5"), "*this machine is not pi5: *"),
        (("--benchmark", "--baseline", "x.json"), "*x.json: cannot be read*"),
        (("--benchmark", "--baseline", "smal"), "*no run, suite or store 'smal' in bench-out*"),
        (("--benchmark", "--bench-store", "other.yaml"), "*other.yaml is a file, not a folder*"),
        (("--benchmark", "--bench-report", "suites"), "*suites is a folder, not a file*"),
        (("--benchmark", "-n", "2"), "*cells would disturb each other*"),
        (("--benchmark", "--dist", "load", "--tx", "2*popen"), "*cells would disturb each other*"),
    ],
)
def test_wrong_flags_are_usage_errors(tests, arguments, says):
    result = tests.runpytest(*arguments)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([says])


def test_a_baseline_edited_by_hand_is_said_before_anything_is_measured(tests, hosts):
    (tests.path / "edited.json").write_text('{\n"format": "x",,\n')
    result = tests.runpytest("--benchmark", "--suite", "small", "--baseline", "edited.json")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*edited.json:2: not JSON, so not a baseline: *"])
    assert hosts.jobs == []


def test_without_the_flag_nothing_of_it_is_imported(tests):
    (tests.path / "conftest.py").unlink()
    code = (
        "import sys, pytest\n"
        "code = pytest.main(['-q', '-p', 'no:benchmark'])\n"
        "print('LOADED', *sorted(name for name in sys.modules if name.startswith('ondevice_bench')))\n"
        "sys.exit(code)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tests.path, capture_output=True, text=True, check=True
    )
    loaded = done.stdout.partition("LOADED")[2].split()
    assert loaded == ["ondevice_bench", "ondevice_bench.pytest_plugin"]


# what it does when nothing was measured


@pytest.mark.parametrize(
    ("chosen", "says"),
    [
        (("-k", "nothing"), "nothing was measured: 2 × deselected (-k 'nothing')"),
        (("-m", "not bench"), "nothing was measured: 2 × deselected (-m 'not bench')"),
        (("--deselect", "suites/small.yaml"), "nothing was measured: 2 × deselected"),
    ],
)
def test_a_selection_without_cells_is_not_green(tests, chosen, says, hosts):
    result = tests.runpytest("--benchmark", "--suite", "small", *chosen)
    assert result.ret == pytest.ExitCode.NO_TESTS_COLLECTED
    assert f"ondevice-bench: {says}" in result.outlines
    assert hosts.jobs == []


def test_where_all_cells_wait_for_another_board_it_is_not_green(tests):
    (tests.path / "suites" / "small.yaml").write_text(SUITE + "hardware: [pi5]\n")
    result = tests.runpytest("--benchmark", "suites/small.yaml", "test_ordinary.py")
    result.assert_outcomes(passed=1, skipped=2)
    assert result.ret == pytest.ExitCode.NO_TESTS_COLLECTED
    assert "ondevice-bench: nothing was measured: 2 × pending on pi5" in result.outlines


def test_a_cell_that_its_worker_refuses_is_skipped_and_nothing_is_green(tests, hosts):
    hosts.answer = lambda job: Reply("skipped", reason="too thin")
    result = tests.runpytest("--benchmark", "--suite", "small", "-rs")
    result.assert_outcomes(skipped=2)
    assert result.ret == pytest.ExitCode.NO_TESTS_COLLECTED
    assert "ondevice-bench: nothing was measured: 2 × too thin" in result.outlines


def test_looking_at_the_cells_is_no_failure(tests):
    result = tests.runpytest("--benchmark", "--suite", "small", "--collect-only", "-q")
    assert result.ret == pytest.ExitCode.OK
    assert "suites/small.yaml::mcunet/vanilla/all/b1/s0" in result.outlines


# pytest's own ways to choose


def test_cells_have_a_mark(tests):
    both = ("--benchmark", "suites/small.yaml", "test_ordinary.py", "--strict-markers")
    tests.runpytest(*both, "-m", "bench").assert_outcomes(passed=2, deselected=1)
    tests.runpytest(*both, "-m", "not bench").assert_outcomes(passed=1, deselected=2)


def test_the_first_failure_can_stop_it_and_what_failed_can_be_repeated(tests, hosts):
    bad = Reply("failed", reason="ValueError: no")
    hosts.answer = lambda job: bad if job.cell.batch == 1 else well(job)
    asked = ("--benchmark", "--suite", "small")
    tests.runpytest(*asked, "-x").assert_outcomes(failed=1)
    assert len(hosts.jobs) == 1
    hosts.opened.clear()
    tests.runpytest(*asked).assert_outcomes(failed=1, passed=1)
    hosts.opened.clear()
    hosts.answer = well
    tests.runpytest(*asked, "--lf").assert_outcomes(passed=1)
    assert hosts.cells == ["mcunet/vanilla/all/b1/s0"]


def test_durations_are_those_of_cells(tests):
    result = tests.runpytest("--benchmark", "--suite", "small", "--durations", "0", "-vv")
    result.stdout.fnmatch_lines(["*s call * suites/small.yaml::mcunet/vanilla/all/b1/s0"])


# where it measures and what it leaves


def test_a_profile_can_be_named(tests):
    tests.makefile(".yaml", **{"hardware/mine": "schema: 1\ntitle: mine\nthreads: 1\n"})
    tests.runpytest("--benchmark", "--suite", "small", "--hardware", "mine").assert_outcomes(
        passed=2
    )
    with Store.open(tests.path / "bench-out/small/results.sqlite") as store:
        (run,) = store.runs()
    assert (run.profile, run.machine["threads"]) == ("mine", 1)


def test_running_out_of_memory_under_a_cap_is_a_result(tests, hosts):
    mine = "schema: 1\ntitle: mine\nby_name_only: true\nmemory_cap: 512M\n"
    tests.makefile(".yaml", **{"hardware/mine": mine})
    hosts.answer = lambda job: Reply("oom", reason="no room")
    asked = ("--benchmark", "--suite", "small")
    tests.runpytest(*asked, "--hardware", "mine").assert_outcomes(passed=2)
    tests.runpytest(*asked).assert_outcomes(failed=2)


def test_results_can_lie_elsewhere(tests):
    result = tests.runpytest("--benchmark", "--suite", "small", "--bench-store", "kept/here")
    result.stdout.fnmatch_lines(["ondevice-bench: run small-* in kept/here/small/results.sqlite"])
    assert len(statuses(tests, folder="kept/here")) == 1
    assert not (tests.path / "bench-out").exists()


def test_a_report_is_written_at_the_end(tests):
    answering()
    result = tests.runpytest("--benchmark", "--suite", "small", "--bench-report", "out/page.html")
    assert "ondevice-bench: report: out/page.html" in result.outlines
    page = (tests.path / "out/page.html").read_text()
    assert "mcunet/vanilla/all/b2/s0" in page
    assert "not interleaved" in page


def test_of_several_suites_each_has_its_report(tests):
    tests.makefile(".yaml", **{"suites/other": SUITE})
    names = ("--suite", "small", "--suite", "other")
    tests.runpytest("--benchmark", *names, "--bench-report", "page.html").assert_outcomes(passed=4)
    assert (tests.path / "page-small.html").exists()
    assert (tests.path / "page-other.html").exists()


def test_there_is_no_report_of_nothing(tests):
    asked = ("--benchmark", "--suite", "small", "-k", "nothing", "--bench-report", "page.html")
    result = tests.runpytest(*asked)
    result.stdout.fnmatch_lines(["*no report: nothing was measured, so page.html was not written"])
    assert not (tests.path / "page.html").exists()


def test_two_suites_of_one_name_are_refused_before_anything_is_measured(tests, hosts):
    tests.makefile(".yaml", **{"more/small": SUITE})
    names = ("--suite", "small", "--suite", "more/small.yaml")
    result = tests.runpytest("--benchmark", *names, "--interleave")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*suites/small.yaml and more/small.yaml are suites of one name*"])
    assert hosts.jobs == []


def test_a_report_that_cannot_be_written_is_said_and_is_not_green(tests):
    (tests.path / "closed").mkdir()
    asked = ("--benchmark", "--suite", "small", "--bench-report", "closed/" + "x" * 300)
    result = tests.runpytest(*asked)
    result.assert_outcomes(passed=2)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stdout.fnmatch_lines(["ondevice-bench: closed/xxx*: cannot be written: *"])


@pytest.mark.parametrize("option", ["--baseline", "--bench-store"])
def test_an_option_for_cells_and_steps_needs_one_of_them(tests, option):
    result = tests.runpytest(option, "x", "test_ordinary.py")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stdout.fnmatch_lines(
        [f"ondevice-bench: {option} goes with --benchmark, or with a test that uses bench_step"]
    )


def test_a_summary_that_cannot_be_written_is_said_before_anything_is_measured(
    tests, hosts, monkeypatch, tmp_path
):
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path))
    result = tests.runpytest("--benchmark", "--suite", "small")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*GITHUB_STEP_SUMMARY: *: cannot be written: Is a directory*"])
    assert hosts.jobs == []
