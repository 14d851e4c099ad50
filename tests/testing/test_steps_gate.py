"""`bench_step` against a baseline: which steps fail their test, and what is said."""

import itertools

import numpy  # noqa: F401  # pytester forgets what its sessions import; numpy loads only once
import pytest

from ondevice_bench.protocol.job import PassResult, Reply
from ondevice_bench.record.store import FILE_NAME, Store
from tests.record.conftest import CELL, make_run, planned
from tests.testing.conftest import RUN_AGAIN, STEP, stored_steps, well_step

pytest_plugins = ["pytester"]

JUDGED = """\
def test_it(bench_step):
    bench_step(step, rounds=8).assert_not_worse()
"""


def answering_steps(activations=4096.0, step=0.02):
    rounds = itertools.count()

    def answer(job):
        reply = well_step(job)
        if job.pass_name == "step_trace":
            return Reply(
                "ok", result=PassResult({"activation_bytes": activations, "step_flops": 8.0})
            )
        if job.pass_name == "step_time":
            seconds = step * (1 + next(rounds) % 7 / 1000)
            return Reply("ok", result=PassResult({"step_seconds": seconds}))
        return reply

    return answer


def test_without_a_baseline_the_test_is_skipped_not_green(steps):
    result = steps(JUDGED, "-rs")
    result.assert_outcomes(skipped=1)
    result.stdout.fnmatch_lines(["*assert_not_worse: no --baseline names a run to compare with"])
    assert len(stored_steps(steps)) == 1


def test_the_same_step_is_not_worse_even_if_its_file_changed(steps, hosts):
    hosts.answer = answering_steps()
    steps(JUDGED)
    result = steps(f"{JUDGED}\n# another version\n", "--baseline", "steps")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(
        ["bench_step: code: test_mine.py changed (*), in 1 cell", "*0 regressed*0 missing*"]
    )
    assert len(stored_steps(steps)) == 2


@pytest.mark.parametrize("worse", [{"activations": 4100.0}, {"step": 0.03}])
def test_a_worse_step_fails_its_test_in_a_line(steps, hosts, worse, monkeypatch, tmp_path):
    hosts.answer = answering_steps()
    steps(JUDGED)
    hosts.answer = answering_steps(**worse)
    summary = tmp_path / "summary"
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
    monkeypatch.setenv("GITHUB_WORKSPACE", str(steps.path.parent))  # the job works in its folder
    result = steps(JUDGED, "--baseline", "steps")
    result.assert_outcomes(failed=1)
    file = f"{steps.path.name}/test_mine.py"
    result.stdout.fnmatch_lines(
        ["regressed: test_mine.py:step@*", f"::error file={file},line=1,title=bench_step::*"]
    )
    result.stdout.no_fnmatch_line("*Traceback*")
    assert summary.read_text().startswith("## ❌ Worse: 1 metric of 1 cell regressed")


def test_the_last_attempt_of_a_test_that_is_run_again_counts(steps, hosts):
    hosts.answer = answering_steps()
    steps(JUDGED)
    answers = iter([answering_steps(activations=4100.0), answering_steps()])

    def answer(job):
        if job.pass_name == "step_trace":  # the first process of an attempt
            answer.now = next(answers)
        return answer.now(job)

    hosts.answer = answer
    (steps.path / "conftest.py").write_text(RUN_AGAIN)
    result = steps(JUDGED, "--baseline", "steps")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["*0 regressed*"])
    assert next(answers, None) is None
    assert len(stored_steps(steps)) == 2


def test_a_step_that_the_baseline_lacks_is_new_and_passes(steps, hosts, monkeypatch, tmp_path):
    (steps.path / "test_theirs.py").write_text(
        STEP + "def test_other(bench_step):\n    bench_step(step)\n"
    )
    steps.session()
    summary = tmp_path / "summary"
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
    result = steps(JUDGED, "--baseline", "steps")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["bench_step: only in steps-*: test_mine.py:step@*"])
    assert summary.read_text().startswith("## ✅ Nothing to compare with: 1 new cell")


TWO = JUDGED + JUDGED.replace("test_it", "test_more")


@pytest.fixture
def with_baseline(steps):
    """Measure again, against two steps."""
    steps(TWO)

    def again(test, *arguments):
        return steps(test, "--baseline", "steps", *arguments)

    return again


def test_a_step_that_the_session_lacks_is_gone(with_baseline):
    result = with_baseline(JUDGED)
    result.assert_outcomes(passed=1)
    assert result.ret == pytest.ExitCode.NO_TESTS_COLLECTED  # as the summary of the job says
    (line,) = [line for line in result.outlines if "only in steps-" in line]
    assert "test_more" in line
    result.stdout.fnmatch_lines(
        ["*1 cell only in the base", "*: not everything of the baseline could be compared"]
    )


def test_a_session_in_which_every_step_has_another_name_is_not_green(with_baseline):
    result = with_baseline(JUDGED.replace("test_it", "test_new"))
    result.assert_outcomes(passed=1)
    assert result.ret == pytest.ExitCode.NO_TESTS_COLLECTED
    result.stdout.fnmatch_lines(["bench_step: no step of the baseline could be compared"])


@pytest.mark.parametrize("left", [None, "def help():\n    pass\n"])
def test_a_step_of_a_file_that_has_none_is_gone_if_the_session_covers_its_folder(
    with_baseline, steps, left
):
    (base,) = stored_steps(steps)
    (steps.path / "test_mine.py").rename(steps.path / "test_moved.py")
    if left is not None:
        (steps.path / "test_mine.py").write_text(left)
    against = ("--baseline", base.run.id)
    moved = steps.session(*against)
    moved.assert_outcomes(passed=2)
    assert moved.ret == pytest.ExitCode.NO_TESTS_COLLECTED
    ignored = [] if left is None else [["--ignore", "test_mine.py"]]
    for words in (["test_moved.py"], ["-k", "test_it"], *ignored):
        part = steps.session(*against, *words)
        assert part.ret == pytest.ExitCode.OK
        part.stdout.no_fnmatch_line("*only in the base*")


@pytest.mark.parametrize("words", [["-k", "test_it"], ["-x"], ["test_mine.py::test_it"]])
def test_a_session_that_runs_some_tests_says_nothing_of_the_others(with_baseline, steps, words):
    more = JUDGED.replace("test_it", "test_more")
    failing = "def test_bad():\n    assert False\n"
    (steps.path / "test_mine.py").write_text(f"{STEP}{JUDGED}\n{failing}\n{more}")
    result = steps.session("--baseline", "steps", *words)
    assert result.parseoutcomes()["passed"] == 1
    result.stdout.fnmatch_lines(["bench_step: base steps-*"])
    result.stdout.no_fnmatch_line("*only in*")


def test_a_session_of_what_failed_last_says_nothing_of_the_others(with_baseline, steps):
    failing = JUDGED + "    assert False\n"
    with_baseline(failing + JUDGED.replace("test_it", "test_more"))
    result = steps.session("--baseline", "steps", "--lf")
    result.assert_outcomes(failed=1)
    result.stdout.no_fnmatch_line("*only in*")


def test_a_session_in_which_no_test_judges_its_step_is_not_green(with_baseline):
    result = with_baseline("def test_it(bench_step):\n    bench_step(step)\n")
    result.assert_outcomes(passed=1)
    assert result.ret == pytest.ExitCode.NO_TESTS_COLLECTED
    result.stdout.fnmatch_lines(
        [
            "bench_step: only in steps-*test_more*",
            "bench_step: no test called assert_not_worse(), so nothing was compared",
        ]
    )


def test_a_summary_that_cannot_be_written_is_said_before_a_step_is_measured(
    steps, hosts, monkeypatch, tmp_path
):
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path))
    result = steps(JUDGED, "--baseline", "steps")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["bench_step: GITHUB_STEP_SUMMARY: *: cannot be written: Is a *"])
    result.stdout.no_fnmatch_line("*Traceback*")
    assert hosts.jobs == []
    without = steps("def test_it(bench_step):\n    bench_step(step)\n")  # it has no summary
    without.assert_outcomes(passed=1)


def test_a_baseline_edited_by_hand_fails_the_test_in_a_line(steps):
    (steps.path / "edited.json").write_text('{"format": "x",,\n')
    result = steps(JUDGED, "--baseline", "edited.json")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["--baseline: edited.json:1: not JSON, so not a baseline: *"])
    result.stdout.no_fnmatch_line("*Traceback*")


def test_a_baseline_that_is_not_there_is_one_line(steps):
    result = steps(JUDGED, "--baseline", "stepz")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["--baseline: no run, suite or store 'stepz' in *"])
    result.stdout.no_fnmatch_line("*Traceback*")


def test_a_baseline_of_a_suite_is_one_line(steps):
    (steps.path / "bench-out/mine").mkdir(parents=True)
    with Store.create(steps.path / "bench-out/mine" / FILE_NAME) as store:
        store.add_run(make_run(), planned(CELL))
    result = steps(JUDGED, "--baseline", "mine")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["--baseline: * has no step of bench_step: name a run of the *"])
    result.stdout.no_fnmatch_line("*Traceback*")
