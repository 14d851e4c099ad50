"""Which runs go, which never go, and that a store loses them completely or not at all."""

import sqlite3
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ondevice_bench.record.store import Store
from ondevice_bench.record.thinning import KeepRule, removable
from tests.record.conftest import CELL, SECOND, make_record, make_run, planned

NOW = datetime(2027, 1, 1, tzinfo=UTC)
# as instants, the second is the latest, and the last the earliest
ZONES = ("2026-01-06T01:00:00+00:00", "2026-01-06T02:00:00.5", "2026-01-06T02:30:00+02:00")


def run_at(number, hours, *, profile="x86", unit="", finished=True, suite="quick"):
    when = (datetime(2026, 1, 5, tzinfo=UTC) + timedelta(hours=hours)).isoformat()
    machine = {**make_run().machine, **({"unit": unit} if unit else {})}
    return make_run(
        f"r{number}",
        created=when,
        finished=when if finished else None,
        profile=profile,
        machine=machine,
        suite=suite,
    )


RUNS = st.lists(
    st.tuples(
        st.integers(0, 24 * 100),
        st.sampled_from(["x86", "pi5"]),
        st.sampled_from(["", "a1", "b2"]),
        st.sampled_from(["quick", "mine"]),
    ),
    max_size=30,
).map(
    lambda drawn: [
        run_at(number, hours, profile=profile, unit=unit, suite=suite)
        for number, (hours, profile, unit, suite) in enumerate(drawn)
    ]
)


@pytest.mark.parametrize("created", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"])
def test_a_time_that_is_none_in_utc_is_as_any_text(created):
    odd = replace(run_at(1, 1, finished=False), created=created)
    runs = [run_at(0, 0), odd, run_at(2, 2)]
    gone = removable(runs, KeepRule(last=1, weekly=2), NOW)
    assert odd not in gone  # it may not have ended yet


@given(RUNS, st.integers(0, 4), st.integers(0, 4), st.sets(st.integers(0, 29)))
def test_what_stays_is_what_the_rule_names_and_nothing_else(runs, last, weekly, saved):
    baselines = frozenset(f"r{number}" for number in saved)
    gone = {run.id for run in removable(runs, KeepRule(last, weekly, baselines), NOW)}
    latest_added = {(run.suite, run.origin, run.profile): run.id for run in runs}.values()
    for run in runs:
        its = [
            other
            for other in runs
            if (other.suite, other.profile, other.machine.get("unit"))
            == (run.suite, run.profile, run.machine.get("unit"))
        ]
        newer = [other for other in its if (other.created, other.id) > (run.created, run.id)]
        week = datetime.fromisoformat(run.created).isocalendar()[:2]
        newer_weeks = [datetime.fromisoformat(other.created).isocalendar()[:2] for other in newer]
        is_of_week = week not in newer_weeks and len(set(newer_weeks)) < weekly
        stays = len(newer) < max(1, last) or is_of_week
        assert (run.id in gone) == (
            not stays and run.id not in baselines and run.id not in latest_added
        )


def test_a_run_that_may_not_have_ended_stays_for_a_week():
    runs = [run_at(n, n, finished=n != 0) for n in range(4)]
    begin = datetime.fromisoformat(runs[0].created)
    young = removable(runs, KeepRule(last=1), begin + timedelta(days=6))
    old = removable(runs, KeepRule(last=1), begin + timedelta(days=8))
    assert [run.id for run in young] == ["r1", "r2"]
    assert [run.id for run in old] == ["r0", "r1", "r2"]


@pytest.mark.parametrize("in_use", [False, True])
def test_an_unfinished_run_stays_while_a_process_measures(in_use):
    """It may be the one that is measured: `bench run` continues an older one, too."""
    old, new = run_at(1, 1, finished=False), run_at(2, 2)
    found = removable([old, new], KeepRule(last=1, in_use=in_use), NOW)
    assert found == ([] if in_use else [old])


def test_the_run_of_each_profile_that_a_fleet_may_continue_stays():
    """Another run of the board is newer, and the fleet measured another profile later."""
    fleet = [replace(run_at(n, n, profile=p), origin="fleet") for n, p in enumerate(("pi5", "x86"))]
    runs = [*fleet, run_at(2, 2, profile="pi5"), run_at(3, 3, profile="pi5")]
    assert [run.id for run in removable(runs, KeepRule(last=1), NOW)] == ["r2"]


def test_the_newest_run_is_the_latest_one_in_whatever_zone_it_is_told():
    runs = [make_run(f"r{n}", created=each, finished="x") for n, each in enumerate(ZONES)]
    # the latest stays, and the one that was stored last
    assert [run.id for run in removable(runs, KeepRule(last=1), NOW)] == ["r0"]


def test_a_store_gives_its_runs_in_the_order_of_their_instants(tmp_path):
    with Store.create(tmp_path / "zones.sqlite") as store:
        for number, moment in enumerate(ZONES):
            store.add_run(make_run(f"r{number}", created=moment), planned(CELL))
        assert [run.id for run in store.runs()] == ["r2", "r0", "r1"]


def test_a_moment_that_is_none_is_a_week_of_its_own():
    runs = [make_run(f"r{n}", created=f"2026-99-9{n}T00:00:00Z", finished="x") for n in range(4)]
    assert [run.id for run in removable(runs, KeepRule(weekly=2), NOW)] == ["r0", "r1"]


@pytest.fixture
def store(tmp_path):
    with Store.create(tmp_path / "results.sqlite") as opened:
        for number in range(4):
            run = make_run(f"r{number}")
            opened.add_run(run, planned(CELL, SECOND))
            opened.add_record(make_record(run.id, status="failed", reason="x", output="y" * 5000))
            opened.add_record(
                make_record(run.id, metrics={"step_seconds": 1.0}, samples={"step_seconds": [1.0]})
            )
        yield opened


def test_a_removed_run_leaves_no_row_and_the_others_are_as_they_were(store):
    before = {name: (store.cells(name), store.records(name)) for name in ("r1", "r3")}
    size = store.file_bytes
    lengths = store.bytes_by_run()
    gone = store.remove(lambda runs: [run for run in runs if run.id in ("r0", "r2")])
    assert [run.id for run in gone] == ["r0", "r2"]
    assert store.shrink() == ""
    assert [run.id for run in store.runs()] == ["r1", "r3"]
    assert {name: (store.cells(name), store.records(name)) for name in before} == before
    assert min(lengths.values()) > 5000
    assert store.file_bytes < size
    with sqlite3.connect(store.path) as raw:
        for table in ("cells", "records", "metrics", "samples", "earlier_attempts"):
            rows = raw.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
            assert rows == {"cells": 4}.get(table, 2), table
    raw.close()


def test_nothing_goes_if_one_of_them_cannot_go(store):
    def choose(runs):
        yield runs[0]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        store.remove(choose)
    assert len(store.runs()) == 4
    assert len(store.records("r0")) == 1
