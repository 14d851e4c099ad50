"""Runs made by hand, one after the other: what is said of their figures."""

import random
from dataclasses import replace

import pytest

from ondevice_bench.analyse.history import HistoryQuery, history, in_order
from tests.record.conftest import CELL, SECOND, make_record, make_run, planned

EXACT = HistoryQuery(metrics=("activation_bytes", "step_flops"))
TIMED = HistoryQuery(metrics=("step_seconds",))


def numbered(number, **what):
    """A run of the nth day, at the nth commit."""
    said = {"commit": f"{number:07x}", "created": f"2026-01-{number + 1:02}T00:00:00+00:00"}
    return make_run(f"r{number:02}", **{**said, **what})


@pytest.fixture
def traced(summary_of):
    """A run whose cells have these activation bytes."""

    def make(number, values, details=None, **what):
        run = numbered(number, **what)
        records = [
            make_record(
                run.id,
                cell,
                "trace",
                metrics={"activation_bytes": float(value), "step_flops": 5.0},
                details=details or {},
            )
            for cell, value in values.items()
            if value is not None
        ]
        return summary_of(records, planned(*values), run)

    return make


@pytest.fixture
def timed(summary_of):
    """A run whose one cell has these step times, one a round."""

    def make(number, steps, launch="forked", unit="", disturbed=(), **what):
        settings = {"measure": ["time"], "rounds": len(steps), "baseline": "vanilla"}
        run = numbered(number, **{"settings": settings, **what})
        records = [
            make_record(
                run.id,
                number=place,
                launch=launch,
                details={
                    **({"unit": unit} if unit else {}),
                    **({"foreign_cpu_share": 0.9} if place in disturbed else {}),
                },
                metrics={"step_seconds": value},
                samples={"step_seconds": [value]},
            )
            for place, value in enumerate(steps, start=1)
        ]
        return summary_of(records, planned(CELL), run)

    return make


def changes(found):
    return [
        (series.metric, change.kind, change.before.run.id, change.after.run.id)
        for series, change in found.changes
    ]


def test_equal_runs_have_no_change(traced):
    found = history([traced(n, {CELL: 100, SECOND: 7}) for n in range(5)], EXACT)
    assert found.changes == ()
    assert found.is_judged
    assert [len(series.points) for series in found.series] == [5] * 4


@pytest.mark.parametrize("values", [[100, 101], [100, 100, 99, 99], [1, 2, 1, 2], [5, 5, 5, 0, 0]])
def test_any_exact_change_is_found_between_its_two_runs(traced, values):
    found = history([traced(n, {CELL: value}) for n, value in enumerate(values)], EXACT)
    expected = [
        ("activation_bytes", "changed", f"r{n - 1:02}", f"r{n:02}")
        for n in range(1, len(values))
        if values[n] != values[n - 1]
    ]
    assert sorted(changes(found)) == expected
    for _, change in found.changes:
        before, after = change.before.estimate.estimate, change.after.estimate.estimate
        assert change.is_better == (after < before)
        assert change.ratio == (after / before if before else None)


def test_a_process_that_others_disturbed_is_in_no_reading(timed):
    runs = [
        timed(0, [1.0, 1.0, 1.0]),
        timed(1, [1.0, 9.0, 9.0], disturbed=(2, 3)),
        timed(2, [9.0, 9.0, 9.0], disturbed=(1, 2, 3)),
        timed(3, [1.0, 1.0, 1.0]),
    ]
    (series,) = history(runs, TIMED).series
    assert [(point.run.id, point.estimate.estimate) for point in series.points] == [
        ("r00", 1.0),
        ("r01", 1.0),
        ("r03", 1.0),
    ]


def test_a_run_that_could_not_measure_lies_between(traced):
    runs = [traced(n, {CELL: value}) for n, value in enumerate([100, None, 101])]
    assert changes(history(runs, EXACT)) == [("activation_bytes", "changed", "r00", "r02")]


def test_the_causes_that_records_know_are_named(traced):
    software = {**make_run().software, "torch": "3"}
    old = traced(0, {CELL: 100}, {"treated": {"a": {"weight_rank": 1}}, "batch_sha256": "x"})
    new = traced(
        1,
        {CELL: 90},
        {"treated": {"a": {"weight_rank": 2}}, "batch_sha256": "x"},
        software=software,
    )
    ((_, change),) = history([old, new], EXACT).changes
    assert change.causes == (
        "torch 2 → 3",
        "the changed layers or their ranks differ",
        "code 0000000 → 0000001",
    )
    same = traced(
        2,
        {CELL: 80},
        {"treated": {"a": {"weight_rank": 2}}, "batch_sha256": "x"},
        software=software,
    )
    same = replace(same, run=replace(same.run, commit=new.run.commit))
    ((_, change),) = history([new, same], EXACT).changes
    assert change.causes == ("no cause in the records: they have the same commit and software",)


def test_a_trace_that_is_missing_is_no_cause(traced):
    details = {"treated": {"a": {"weight_rank": 1}}, "batch_sha256": "x", "weights_sha256": "y"}
    old, new = traced(0, {CELL: 100}), traced(1, {CELL: 90}, details)
    for runs in ([old, new], [new, old]):
        ((_, change),) = history(runs, EXACT).changes
        assert change.causes == ("code 0000000 → 0000001",)


def test_processes_that_disagree_are_no_certain_cause(summary_of, traced):
    run = numbered(1)
    settings = {"measure": ["trace"], "rounds": 2, "baseline": "vanilla"}
    records = [
        make_record(run.id, CELL, "trace", number, metrics={"activation_bytes": 100.0 + number})
        for number in (1, 2)
    ]
    odd = summary_of(records, planned(CELL), replace(run, settings=settings))
    ((_, change),) = history([traced(0, {CELL: 100}), odd], EXACT).changes
    assert change.causes[0].startswith("processes of r01 disagree")


def test_the_order_of_cells_and_of_runs_does_not_matter(traced):
    runs = [traced(n, {CELL: 100 + (n > 2), SECOND: 7 - (n > 1)}) for n in range(5)]
    turned = [replace(run, cells=run.cells[::-1]) for run in runs]
    dice = random.Random(0)
    dice.shuffle(turned)
    mine, theirs = history(runs, EXACT), history(turned, EXACT)
    assert sorted(changes(mine)) == sorted(changes(theirs))
    assert mine.runs == theirs.runs
    assert {s.fingerprint: s.points for s in mine.series} == {
        s.fingerprint: s.points for s in theirs.series
    }


def test_a_run_that_is_given_twice_counts_once(traced):
    one, other = (traced(n, {CELL: 100}) for n in range(2))
    found = history([one, other, one], EXACT)
    assert [len(series.points) for series in found.series] == [2, 2]


@pytest.mark.parametrize("name", ["cpu", "threads", "kernel", "memory_gib", "unit"])
def test_unlike_machines_are_never_joined(traced, name):
    other = {**make_run().machine, name: 9 if name in ("threads", "memory_gib") else "9"}
    runs = [
        traced(n, {CELL: 200 if n % 2 else 100}, machine=other if n % 2 else make_run().machine)
        for n in range(6)
    ]
    found = history(runs, EXACT)
    assert found.changes == ()
    for series in found.series:
        assert len(series.points) == 3
        assert len({str(point.run.machine) for point in series.points}) == 1
        assert (name in series.machine) == (name in series.points[0].run.machine)


def test_unlike_workloads_are_never_joined(traced):
    other = replace(CELL, seed=3)  # under the same id
    found = history([traced(0, {CELL: 100}), traced(1, {other: 200})], EXACT)
    assert found.changes == ()
    assert not found.is_judged
    assert {series.why_not for series in found.series} == {"one run: a history needs two"}


def test_boards_of_a_fleet_have_a_series_each(timed):
    """A step from one board to another is no change."""
    pace = {"a": 1.0, "b": 1.3}
    runs = [timed(n, [pace[unit]] * 3, unit=unit) for n, unit in enumerate("aaabbb")]
    found = history(runs, TIMED)
    assert [(one.machine, len(one.points)) for one in found.series] == [
        ("x86, boards a", 3),
        ("x86, boards b", 3),
    ]
    assert found.changes == ()


def test_processes_started_otherwise_are_series_of_their_own(timed):
    found = history([timed(n, [1.0], "spawned" if n % 2 else "forked") for n in range(4)], TIMED)
    assert [(s.machine, len(s.points)) for s in found.series] == [
        ("x86, forked", 2),
        ("x86, spawned", 2),
    ]


def test_a_noisy_run_is_one_reading_however_many_processes(timed):
    """Their processes share an hour: six apart from six would be sure, one from one is nothing."""
    runs = [timed(0, [1.0, 1.001, 0.999] * 8), timed(1, [1.3, 1.301, 1.299] * 8)]
    (series,) = history(runs, TIMED).series
    assert series.changes == ()
    assert series.why_not == "2 runs: a change needs 5 runs before it and 5 after it"


def test_a_noisy_step_is_found_with_its_interval(timed):
    dice = random.Random(0)
    pace = [(1 + 0.08 * (n >= 14)) * dice.lognormvariate(0, 0.01) for n in range(28)]
    found = history([timed(n, [value] * 3) for n, value in enumerate(pace)], TIMED)
    ((_, change),) = found.changes
    assert (change.kind, change.before.run.id, change.after.run.id) == ("stepped", "r13", "r14")
    assert change.lower < 1.08 < change.upper
    assert not change.is_better
    shown = change.to_dict()
    assert (shown["certain"], shown["until_commit"]) == (False, "000000e")


def test_more_series_ask_for_more(timed):
    few = history([timed(n, [1.0]) for n in range(6)], TIMED).series[0].why_not
    assert few == "6 runs: a change needs 7 runs before it and 7 after it"


def test_a_reading_of_nothing_has_no_ratio(timed):
    (series,) = history([timed(n, [0.0]) for n in range(3)], TIMED).series
    assert series.why_not == "a reading is not positive, so there is no ratio"


def test_runs_are_ordered_by_their_commits_where_all_have_a_place(traced):
    runs = [traced(n, {CELL: 100}) for n in range(3)]
    names = [run.run.commit for run in runs]
    backwards = {name: -place for place, name in enumerate(names)}
    assert [run.commit for run in in_order([one.run for one in runs], backwards)] == names[::-1]
    del backwards[names[0]]
    assert [run.commit for run in in_order([one.run for one in runs], backwards)] == names
    assert not history(runs, HistoryQuery(backwards)).by_commits


def test_runs_are_ordered_by_their_instants_in_whatever_zone_they_are_told(traced):
    moments = ["2026-01-02T01:00:00+02:00", "2026-01-01T23:30:00.5", "2026-01-01T23:30:01+00:00"]
    runs = [traced(n, {CELL: 100}, created=moment).run for n, moment in enumerate(moments)]
    assert [run.id for run in in_order(runs[::-1], {})] == ["r00", "r01", "r02"]
    no_time = replace(runs[0], id="none", created="2026-99-99T00:00:00+00:00")
    assert in_order([*runs, no_time], {})[0] == no_time


# versions of the user's code


def version(digest):
    name = f"net.py:net@{digest * 8}"
    return replace(CELL, id=f"{name}/vanilla/all/b8/s0", model=name)


def test_an_edit_of_a_file_does_not_end_a_series_and_is_named_as_a_cause(traced):
    runs = [traced(1, {version("a"): 100}), traced(2, {version("b"): 101})]
    found = history(runs, EXACT)
    bytes_, flops = found.series
    assert [len(one.points) for one in found.series] == [2, 2]
    assert bytes_.cell == version("b").id
    assert bytes_.fingerprint == version("b").key
    (change,) = bytes_.changes
    assert "net.py changed (aaaaaaaa → bbbbbbbb)" in change.causes
    assert flops.changes == ()
    # both fingerprints lead to the series
    for cell in (version("a"), version("b")):
        assert found.by_workload[cell.key, "activation_bytes"] == [bytes_]
    strict = history(runs, replace(EXACT, same_code=True))
    assert [len(one.points) for one in strict.series] == [1, 1, 1, 1]


def test_two_versions_in_one_run_have_a_series_each(traced):
    a, b = version("a"), version("b")
    found = history([traced(1, {a: 100, b: 7}), traced(2, {a: 100, b: 7})], EXACT)
    assert found.changes == ()
    assert {one.cell: len(one.points) for one in found.series} == {a.id: 2, b.id: 2}
    assert len(found.series) == 4
