import pytest

from ondevice_bench.errors import ExitCode
from ondevice_bench.running.outcome import exit_code, exit_code_of_all, failures

CAPPED = {"memory_cap_bytes": 2**30}


@pytest.mark.parametrize(
    ("statuses", "settings", "code"),
    [
        (["ok", "skipped", "pending"], {}, ExitCode.OK),
        (["ok", "failed"], {}, ExitCode.CELL_FAILED),
        (["ok", "timeout"], CAPPED, ExitCode.CELL_FAILED),
        (["ok", "oom"], {}, ExitCode.CELL_FAILED),
        (["ok", "oom"], CAPPED, ExitCode.OK),
        (["oom"], CAPPED, ExitCode.OK),
        (["oom"], {"memory_cap_bytes": None}, ExitCode.CELL_FAILED),
        (["skipped", "pending"], CAPPED, ExitCode.NOTHING_RAN),
        ([], {}, ExitCode.NOTHING_RAN),
    ],
)
def test_out_of_memory_fails_a_run_only_without_a_cap(statuses, settings, code):
    assert exit_code(statuses, settings) == code
    assert bool(failures(settings) & set(statuses)) == (code == ExitCode.CELL_FAILED)


@pytest.mark.parametrize(
    ("codes", "code"),
    [
        ([], ExitCode.OK),
        ([ExitCode.OK, ExitCode.NOTHING_RAN], ExitCode.OK),
        ([ExitCode.NOTHING_RAN, ExitCode.NOTHING_RAN], ExitCode.NOTHING_RAN),
        ([ExitCode.NOTHING_RAN, ExitCode.CELL_FAILED], ExitCode.CELL_FAILED),
        ([ExitCode.CELL_FAILED, ExitCode.OK], ExitCode.CELL_FAILED),
    ],
)
def test_nothing_was_measured_only_if_no_run_measured_anything(codes, code):
    assert exit_code_of_all(codes) == code
