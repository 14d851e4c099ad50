"""A run of the suite `validate` as a real Raspberry Pi 5 would give it, made by hand."""

from dataclasses import replace

import pytest

from ondevice_bench import metrics
from ondevice_bench.record.run_json import RunContent
from ondevice_bench.running.hosts.fake import FakeHost
from ondevice_bench.suite.load import load_suite
from ondevice_bench.suite.plan import plan
from ondevice_bench.validation.figures import desk_figures, suite_file
from tests.board import MACHINE
from tests.record.conftest import make_record, make_run

MIB = 1 << 20
PI = {**MACHINE, "threads": 4, "unit": "0123456789ab"}
NEVER = {"subject": "throttling", "level": "ok", "said": "never since boot"}
SETTINGS = {
    "measure": ["memory", "trace", "time", "energy"],
    "rounds": 1,
    "baseline": "vanilla",
    "doctor": [NEVER],
}


def memory_of_a_step():
    """A peak that is the sum of its parts, in pages of 16 KiB, and what another process saw."""
    parts = dict.fromkeys(metrics.parts_of("peak"), MIB)
    over = sum(parts.values())
    peak = 100 * MIB + over
    curve = {
        "seconds": [0.0, 1.0, 2.0, 3.0],
        "rss_bytes": [100 * MIB, peak - 16384, peak + 16384, 2 * peak],
        "marks": [["runtime", 0.0], ["forward", 0.5], ["inference", 2.5]],
    }
    found = {**parts, "peak_rss_bytes": peak, "peak_rss_over_runtime_bytes": over}
    return {"metrics": found, "details": {"curve": curve}}


def pi_content() -> RunContent:
    """The whole run."""
    suite = load_suite(str(suite_file()))
    cells = plan(suite, FakeHost().board, {})
    cells = tuple(replace(each, profile="pi5-8gb") for each in cells)
    records = []
    for each in cells:
        if each.state != "planned":
            continue
        figures = desk_figures().cells[each.cell.id].figures
        given = {
            "memory": memory_of_a_step(),
            "trace": {"metrics": dict(figures)},
            "time": {"metrics": {"step_seconds": 0.1}, "samples": {"step_seconds": [0.1] * 6}},
            "energy": {"metrics": {"step_joules": 0.5}},
        }
        records += [
            make_record(cell=each.cell, pass_name=name, **{"samples": {}, **what})
            for name, what in given.items()
        ]
    run = make_run(
        suite="validate",
        profile="pi5-8gb",
        machine=dict(PI),
        settings=SETTINGS,
        created="2026-12-01T10:00:00+00:00",
        finished="2026-12-01T10:05:00+00:00",
    )
    return RunContent(run, cells, tuple(records))


@pytest.fixture
def pi_run() -> RunContent:
    return pi_content()
