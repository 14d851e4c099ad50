"""What an import adds to a store, and what it refuses."""

from dataclasses import replace
from itertools import permutations

import pytest

from ondevice_bench.cli.import_ import import_
from ondevice_bench.errors import BadInput
from ondevice_bench.record import bundle, run_json
from ondevice_bench.record.origin import IMPORTED
from ondevice_bench.record.run_json import RunContent
from ondevice_bench.record.store import Store
from ondevice_bench.site.make_digest import identity_of
from tests.record.bundles import content
from tests.record.conftest import CELL, SECOND, make_record, make_run, planned


def test_an_import_adds_what_is_not_there_and_never_doubles(tmp_path):
    bundle.write([content()], tmp_path / "a.bundle")
    (found,) = bundle.read(tmp_path / "a.bundle")
    with Store.create(tmp_path / "results.sqlite") as store:
        assert store.merge(found.run, found.cells, found.records[:1]) == 1
        assert store.merge(found.run, found.cells, found.records) == 1
        assert store.merge(found.run, found.cells, found.records) == 0
        (run,) = store.runs()
        assert (run.id, run.origin) == ("r1", IMPORTED)
        assert store.records("r1") == found.records
        assert store.cells("r1") == found.cells


@pytest.mark.parametrize(
    ("origin", "here"), [("ab", "ab"), ("pytest", "pytest"), ("fleet", IMPORTED), ("x", IMPORTED)]
)
def test_an_import_keeps_what_leaves_a_run_out_of_histories(tmp_path, origin, here):
    with Store.create(tmp_path / "results.sqlite") as store:
        store.merge(make_run(origin=origin), planned(CELL), [])
        assert store.run("r1").origin == here


def test_an_import_brings_the_end_of_a_run_that_was_unfinished(tmp_path):
    with Store.create(tmp_path / "results.sqlite") as store:
        store.merge(make_run(), planned(CELL), [])
        store.merge(make_run(finished="2026-01-02"), planned(CELL), [])
        assert store.run("r1").finished == "2026-01-02"
        store.merge(make_run(), planned(CELL), [])  # an older bundle takes nothing back
        assert store.run("r1").finished == "2026-01-02"


def odd_content():
    """A run with values that Python, JSON and SQLite hold in different types."""
    what = {
        "metrics": {"b": 2**53 + 1, "a": 1},
        "samples": {"a": (1, 2.0)},
        "details": {"curve": {"marks": (("runtime", 0.0), ("forward", 1))}, "notes": ()},
        "seconds": 2**53 + 1,
    }
    run = make_run(settings={**make_run().settings, "cpus": (0, 1)})
    return run_json.RunContent(run, tuple(planned(CELL)), (make_record(**what),))


def test_the_same_run_is_the_same_whatever_types_hold_its_values(tmp_path):
    path = tmp_path / "a.bundle"
    bundle.write([odd_content()], path)
    (found,) = bundle.read(path)
    with Store.create(tmp_path / "results.sqlite") as store:
        assert store.merge(found.run, found.cells, found.records) == 1
        assert store.merge(found.run, found.cells, found.records) == 0
        made = odd_content()
        assert store.merge(made.run, made.cells, made.records) == 0


def test_a_run_whose_cells_have_other_ids_is_another_run(tmp_path):
    renamed = replace(CELL, id="other/vanilla/all/b8/s0")
    with Store.create(tmp_path / "results.sqlite") as store:
        store.merge(make_run(), planned(CELL), [])
        with pytest.raises(BadInput, match="has another run r1"):
            store.merge(make_run(), planned(renamed), [make_record(cell=renamed)])


def test_a_run_that_has_grown_is_imported_again(tmp_path):
    larger = make_run(definition="larger")
    added = [make_record(), make_record(cell=SECOND)]
    with Store.create(tmp_path / "results.sqlite") as store:
        store.merge(make_run(finished="2026-01-02"), planned(CELL), [make_record()])
        assert store.merge(larger, planned(CELL, SECOND), added) == 1
        assert [item.cell for item in store.cells("r1")] == [CELL, SECOND]
        assert store.run("r1").definition == "larger"
        assert store.run("r1").finished is None
        assert store.merge(make_run(finished="2026-01-02"), planned(CELL), [make_record()]) == 0
        assert (len(store.cells("r1")), store.run("r1").definition) == (2, "larger")
        with pytest.raises(BadInput, match="has another run r1"):
            store.merge(make_run(definition="third"), planned(CELL, SECOND), [])


def test_a_task_that_was_repeated_after_the_first_import_is_imported_again(tmp_path):
    failed = make_record(status="failed", reason="first", started="2026-01-01T00:00:01+00:00")
    repeated = make_record(metrics={"a": 1.0}, started="2026-01-01T00:00:09+00:00")
    with Store.create(tmp_path / "results.sqlite") as store:
        store.merge(make_run(finished="2026-01-02"), planned(CELL), [failed])
        assert store.merge(make_run(finished="2026-01-03"), planned(CELL), [repeated]) == 1
        assert store.records("r1") == (repeated,)
        assert store.merge(make_run(finished="2026-01-02"), planned(CELL), [failed]) == 0
        assert store.records("r1") == (repeated,)
        assert store.run("r1").finished == "2026-01-03"  # an older bundle takes nothing back


def test_a_task_that_was_repeated_after_the_clock_went_back_is_imported_again(tmp_path):
    failed = make_record(status="failed", reason="first", started="2026-01-01T00:00:09+00:00")
    repeated = make_record(metrics={"a": 1.0}, started="2026-01-01T00:00:01+00:00")
    with Store.create(tmp_path / "results.sqlite") as store:
        store.merge(make_run(), planned(CELL), [failed])
        assert store.merge(make_run(), planned(CELL), [repeated]) == 1
        assert store.merge(make_run(), planned(CELL), [failed]) == 0
        assert store.records("r1") == (repeated,)


MOMENTS = [f"2026-01-01T00:00:0{second}+00:00" for second in range(1, 4)]


@pytest.mark.parametrize("units", ["AB", "AA"])  # A may come back after B was lost, too
@pytest.mark.parametrize("status", ["ok", "failed"])
def test_a_portion_of_a_fleet_that_was_measured_again_is_imported_again(tmp_path, units, status):
    older, newer = (
        make_record(started=started, details={"unit": unit}, metrics={"a": value})
        for started, unit, value in zip(MOMENTS, units, (1.0, 2.0), strict=False)
    )
    if status != "ok":
        newer = replace(newer, status=status, reason="no", metrics={})
    with Store.create(tmp_path / "results.sqlite") as store:
        store.merge(make_run(), planned(CELL), [older])
        assert store.merge(make_run(), planned(CELL), [newer]) == 1
        assert store.merge(make_run(), planned(CELL), [older]) == 0
        assert store.records("r1") == (newer,)
        forged = replace(newer, status="ok", reason="", metrics={"a": 3.0})
        with pytest.raises(BadInput, match="another record of"):
            store.merge(make_run(), planned(CELL), [forged])


def test_another_run_or_record_of_the_same_name_is_refused_whole(tmp_path):
    with Store.create(tmp_path / "results.sqlite") as store:
        store.merge(make_run(), planned(CELL), [make_record(metrics={"a": 1.0})])
        with pytest.raises(BadInput, match="has another run r1: nothing was imported"):
            store.merge(make_run(commit="def"), planned(CELL), [])
        new = make_record(pass_name="trace", metrics={"b": 1.0})
        with pytest.raises(BadInput, match="another record of mcunet"):
            store.merge(make_run(), planned(CELL), [new, make_record(metrics={"a": 2.0})])
        assert [record.key.pass_name for record in store.records("r1")] == ["time"]


def test_a_bundle_with_one_contradiction_stores_none_of_its_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "bench-out/quick/results.sqlite"
    path.parent.mkdir(parents=True)
    with Store.create(path) as store:
        store.merge(make_run("r2"), planned(CELL), [make_record("r2", metrics={"a": 1.0})])
    contents = [
        RunContent(make_run(name), tuple(planned(CELL)), (make_record(name, metrics={"a": 2.0}),))
        for name in ("r1", "r2")
    ]
    bundle.write(contents, tmp_path / "x.bundle")
    with pytest.raises(BadInput, match="another record of"):
        import_(tmp_path / "x.bundle")
    with Store.open(path) as store:
        assert [run.id for run in store.runs()] == ["r2"]


def test_a_run_that_went_on_for_another_goal_is_the_same_run(tmp_path):
    begun = make_run(settings={**make_run().settings, "goal": None, "doctor": []})
    later = begun.going_on({"goal": {"minimise": "step_flops"}})
    bundle.write([RunContent(later, tuple(planned(CELL)), (make_record(),))], tmp_path / "a.bundle")
    (found,) = bundle.read(tmp_path / "a.bundle")
    assert found.run.as_begun == begun
    with Store.create(tmp_path / "results.sqlite") as store:
        store.merge(begun, planned(CELL), [])
        assert store.merge(found.run, found.cells, found.records) == 1
        with pytest.raises(BadInput, match="has another run r1"):
            store.merge(begun.going_on({"peaks": {"x": 1.0}}), planned(CELL), [])
    assert identity_of(later, planned(CELL)) == identity_of(begun, planned(CELL))


def test_the_goal_is_that_of_the_latest_command(tmp_path):
    """Bundles of a run at three moments may come in any order."""
    begun = make_run(settings={**make_run().settings, "goal": None})
    goals = [{"minimise": metric} for metric in ("step_flops", "step_joules")]
    second, third = (begun.going_on({"goal": goal}) for goal in goals)
    records = [
        make_record(number=number, started=f"2026-01-0{number}T00:00:00+00:00")
        for number in (1, 2, 3)
    ]
    moments = [(each, records[: n + 1]) for n, each in enumerate((begun, second, third))]
    for number, order in enumerate(permutations(moments)):
        with Store.create(tmp_path / f"{number}.sqlite") as store:
            for run, found in order:
                store.merge(run, planned(CELL), found)
            assert store.run("r1").settings == third.settings
