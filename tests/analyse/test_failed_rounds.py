"""Rounds that failed in one run, and how many more in the other one."""

from dataclasses import replace

import pytest

from ondevice_bench.analyse.compare import compare
from ondevice_bench.errors import ExitCode
from ondevice_bench.report.gate.of_runs import outcome_of_runs
from ondevice_bench.report.terminal.comparison import comparison_notes
from tests.record.conftest import CELL, make_record, make_run, planned
from tests.summaries import of_rounds


@pytest.mark.parametrize(
    ("base", "new", "code"),
    [
        (["ok"] * 5, ["ok"] * 5, ExitCode.OK),
        (["ok"] * 5, ["ok"] * 4 + ["oom"], ExitCode.REGRESSION),
        (["ok"] * 5, ["failed"] * 5, ExitCode.REGRESSION),
        (["ok"] * 5, ["timeout"] + ["ok"] * 9, ExitCode.REGRESSION),
        (["ok"] * 5, ["skipped"] + ["ok"] * 4, ExitCode.OK),
        (["ok"] * 4 + ["oom"], ["ok"] * 4 + ["oom"], ExitCode.OK),
        (["ok"] * 4 + ["oom"], ["ok"] * 9 + ["oom"], ExitCode.OK),
        (["ok"] * 4 + ["oom"], ["ok"] * 8 + ["oom"] * 2, ExitCode.OK),
        (["ok"] * 4 + ["oom"], ["ok"] * 3 + ["oom"] * 2, ExitCode.REGRESSION),
    ],
)
def test_a_run_of_which_more_rounds_failed_is_worse(summary_of, base, new, code):
    found = compare(of_rounds(summary_of, "a", *base), of_rounds(summary_of, "b", *new))
    assert found.exit_code() == code
    assert found.exit_code(set()) == code  # no option hides a failure
    for one in found.failed:
        assert one.new.reason.endswith(": no more memory")
        assert (one.base.failed, one.new.failed) == tuple(
            sum(status not in {"ok", "skipped"} for status in side) for side in (base, new)
        )
        assert (one.base.of, one.new.of) == (len(base), len(new))


@pytest.mark.parametrize(
    ("statuses", "trace", "says"),
    [
        (["failed"] * 2, False, "no result: failed: time, round 1: no more memory"),
        (["skipped"] * 2, False, "no result: skipped: time, round 1: no more memory"),
        (["failed"] * 2, True, "no result of time: failed: no more memory"),
        (["failed", "ok"], True, ""),
    ],
)
def test_what_the_base_has_no_result_of_is_named_with_the_reason(summary_of, statuses, trace, says):
    base = of_rounds(summary_of, "a", *statuses)
    if trace:
        traced = make_record("t", pass_name="trace", metrics={"activation_bytes": 1.0})
        (cell,) = summary_of([traced], planned(CELL), make_run("t")).cells
        (timed,) = base.cells
        both = {**cell.estimates, **timed.estimates}
        base = replace(base, cells=(replace(timed, estimates=both),))
    found = compare(base, of_rounds(summary_of, "b", "ok", "ok"))
    assert found.not_judged == ({CELL.id: says} if says else {})
    named = [note for note in comparison_notes(found) if note.startswith("not judged: ")]
    assert named == ([f"not judged: {CELL.id}: the base has {says}"] if says else [])
    assert set(named) <= set(outcome_of_runs("t", found, (), lambda *_: None).notes)


def test_a_pass_that_only_one_run_has_is_no_failure_of_the_other(summary_of):
    failed = make_record("b", pass_name="trace", status="failed", reason="no")
    base = of_rounds(summary_of, "a", "ok")
    assert compare(base, summary_of([failed], planned(CELL), make_run("b"))).failed == ()
