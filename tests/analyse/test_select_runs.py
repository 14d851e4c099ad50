"""Which runs a history takes: by their cells, their day, or their commit."""

import contextlib
import shutil
import sqlite3

import pytest

from ondevice_bench import metrics
from ondevice_bench.analyse.select_runs import runs_since, stored_runs
from ondevice_bench.errors import BadInput
from ondevice_bench.metrics.descriptor import METER
from ondevice_bench.record.store import Store
from tests.record.conftest import CELL, SECOND, make_record, make_run, planned

COMMITS = ["aaaa000000", "bbbb000000+1f1f1f", "cccc000000"]
FULL = {"v1": "bbbb" + "0" * 36, "side": "dddd" + "0" * 36}


@pytest.fixture
def store(workplace):
    with Store.create(workplace / "results.sqlite") as store:
        for number, commit in enumerate(COMMITS):
            run = make_run(
                f"r{number}", commit=commit, created=f"2026-01-0{number + 1}T12:00:00+00:00"
            )
            store.add_run(run, planned(CELL, SECOND))
            for cell in (CELL, SECOND):
                store.add_record(make_record(run.id, cell, metrics={"step_seconds": 1.0}))
        store.add_run(make_run("ab", origin="ab"), planned(CELL))
    return workplace / "results.sqlite"


def places(commits):
    """A repository in which the side branch left after the first commit."""
    order = {COMMITS[0]: 0, FULL["side"]: 1, COMMITS[1]: 2, COMMITS[2]: 3}
    commits = list(commits)
    return {c: order[c] for c in commits} if all(c in order for c in commits) else {}


def resolve(ref):
    return FULL.get(ref, "")


def since(runs, text):
    return [run.id for run in runs_since([one.run for one in runs], text, places, resolve)]


def test_runs_of_ab_are_no_part_of_a_history(store):
    assert [one.run.id for one in stored_runs([store])] == ["r0", "r1", "r2"]


def test_a_pattern_selects_cells(store):
    runs = stored_runs([store], patterns=["b2"])
    assert [one.run.id for one in runs] == ["r0", "r1", "r2"]
    assert {reading.cell for one in runs for reading in one.readings} == {SECOND.id}
    with pytest.raises(BadInput, match=r"--cell: no cell matches 'b3'"):
        stored_runs([store], patterns=["b3"])


@pytest.mark.parametrize("patterns", [[], ["b2"]])
def test_stores_that_cannot_be_read_are_left_out(store, capsys, patterns):
    """The last run of both has a cell of a later version of bench: the runs before it were read."""
    with contextlib.closing(sqlite3.connect(store)) as connection, connection:
        connection.execute(
            "UPDATE cells SET definition = json_set(definition, '$.new', 1) WHERE run = 'r2'"
        )
    other = shutil.copy(store, store.with_name("other.sqlite"))
    assert stored_runs([store, other], patterns=patterns) == []
    assert capsys.readouterr().err.count("left out: ") == 2


ENERGIES = [each for each in metrics.ALL if each.scope == METER]


@pytest.mark.parametrize("metric", ENERGIES, ids=lambda metric: metric.name)
def test_every_energy_has_its_meter(workplace, metric):
    """The notes of other records are not read: their details may be large."""
    energy = {"metrics": {metric.name: 1.0}, "samples": {}, "pass_name": metric.pass_name}
    notes = ["first", "the energy is that of the plug, a reading every 1 s"]
    with Store.create(workplace / "results.sqlite") as store:
        store.add_run(make_run(), planned(CELL))
        store.add_record(make_record(**energy, details={"notes": notes, "unit": "u1"}))
        store.add_record(make_record(metrics={"step_seconds": 1.0}, details={"notes": ["first"]}))
        ((_, found),) = store.measurements("r1", ())
        assert [(each.details.notes, each.details.unit) for each in found] == [
            (tuple(notes), "u1"),
            ((), ""),
        ]
    (run,) = stored_runs([workplace / "results.sqlite"], [metric.name])
    assert [each.meter for each in run.readings] == ["the plug"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-01-02", ["r1", "r2"]),
        ("2026-01-02T13:00", ["r2"]),
        ("2026-01-02T11:00+00:00", ["r1", "r2"]),
        ("2027-01-01", []),
        ("bbbb", ["r1", "r2"]),
        ("v1", ["r1", "r2"]),
        ("side", ["r1", "r2"]),  # no run of its own: the runs that come after it
    ],
)
def test_runs_since_a_day_or_a_commit(store, text, expected):
    assert since(stored_runs([store]), text) == expected


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("2026-13-01", "is not a date: give one such as 2026-03-01, or a commit"),
        ("9999-12-31T23:59:59-14:00", "is not a date: give one such as 2026-03-01, or a commit"),
        ("bbbc000000", "is neither a date nor a commit of these runs; did you mean 'bbbb000000'"),
        ("b", "is neither a date nor a commit of these runs$"),  # too short for a commit
    ],
)
def test_what_is_no_day_and_no_commit_is_refused(store, text, says):
    with pytest.raises(BadInput, match=f"--since: '{text}' {says}"):
        since(stored_runs([store]), text)
