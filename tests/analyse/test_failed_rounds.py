"""Rounds that failed in one run, and how many more in the other one."""

import pytest

from ondevice_bench.analyse.compare import compare
from ondevice_bench.errors import ExitCode
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


def test_a_pass_that_only_one_run_has_is_no_failure_of_the_other(summary_of):
    failed = make_record("b", pass_name="trace", status="failed", reason="no")
    base = of_rounds(summary_of, "a", "ok")
    assert compare(base, summary_of([failed], planned(CELL), make_run("b"))).failed == ()
