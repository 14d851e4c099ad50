"""Readings of pytest-benchmark in a history: apart from ours, and marked."""

import json
import shutil

import pytest

STATS = {"min": 0.001, "max": 0.003, "mean": 0.0021, "stddev": 0.0001, "rounds": 9, "median": 0.002}
FILE = {
    "machine_info": {
        "node": "private-name",
        "machine": "x86_64",
        "system": "Linux",
        "python_implementation": "CPython",
        "python_version": "3.12.1",
        "cpu": {"brand_raw": "Some CPU"},
    },
    "commit_info": {"id": "abc123", "dirty": True},
    "benchmarks": [{"fullname": "test_a.py::test_\x1b[31m", "stats": STATS}],
    "datetime": "2026-01-02T03:04:05.678+00:00",
    "version": "5.1.0",
}
HEADING = "foreign metrics: measured by other tools, never joined with ours and never judged"


@pytest.fixture
def foreign(workplace):
    def write(name, **changes):
        (workplace / name).write_text(json.dumps({**FILE, **changes}))
        return name

    return write


def test_an_import_is_kept_and_shown_as_foreign(bench, workplace, foreign):
    ended = bench("import", foreign("a.json"))
    machine = "Some CPU, x86_64, Linux, CPython 3.12"
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.startswith(
        f"foreign: 1 benchmark of pytest-benchmark 5.1.0 on {machine}: bench-out/foreign/"
    )
    assert "already here" in bench("import", "a.json").out
    slower = {"fullname": FILE["benchmarks"][0]["fullname"], "stats": {**STATS, "median": 0.005}}
    bench("import", foreign("b.json", datetime="2026-01-03T00:00:00", benchmarks=[slower]))

    shown = bench("history")
    assert shown.code == 0
    heading, *_ = (line for line in shown.out.splitlines() if line)
    assert heading == HEADING
    (row,) = [line for line in shown.out.splitlines() if "test_a.py" in line]
    assert "\x1b" not in row
    assert row.split()[0] == "pytest-benchmark"
    assert row.split()[-5:] == ["2", "2.00", "ms", "5.00", "ms"]
    (series,) = bench("history", "--json").json()["foreign"]
    assert (series["kind"], series["machine"]) == ("foreign", machine)
    assert [each["median_seconds"] for each in series["readings"]] == [0.002, 0.005]
    assert series["readings"][0]["commit"] == "abc123-dirty"
    assert "private-name" not in (shown.out + json.dumps(series))
    assert bench("history", "--cell", "nothing").code == 2  # neither ours nor theirs


def test_foreign_readings_stand_beside_ours_and_change_no_verdict(
    bench, workplace, foreign, tiny_run
):
    shutil.copytree(tiny_run.folder / "bench-out", workplace / "bench-out")
    bench("import", foreign("a.json"))
    alone = bench("history", "tiny")
    both = bench("history")
    assert alone.code == both.code == 6  # one run of ours has no history
    assert alone.err == both.err
    assert HEADING not in alone.out
    assert HEADING in both.out
    for verb in (("list", "runs"), ("compare", "tiny", "tiny")):
        assert "test_a.py" not in bench(*verb).out


def test_another_version_is_one_line_and_nothing_is_kept(bench, workplace, foreign):
    ended = bench("import", foreign("a.json", version="9.0"))
    assert ended.code == 2
    assert (
        ended.err
        == "bench: a.json: written by pytest-benchmark 9.0; this bench reads version 5.x\n"
    )
    assert not (workplace / "bench-out").exists()
