"""The units of boards in a store."""

from ondevice_bench.record.model import TaskKey
from ondevice_bench.record.store import Store
from tests.record.conftest import CELL, make_record, make_run, planned


def test_a_store_says_which_board_made_a_record_and_one_metric_of_it(tmp_path):
    with Store.create(tmp_path / "results.sqlite") as store:
        store.add_run(make_run(), planned(CELL))
        store.add_record(make_record(metrics={"step_seconds": 2.0}, details={"unit": "abc"}))
        store.add_record(make_record(pass_name="trace"))
        time, trace = TaskKey(CELL.id, "time", 1), TaskKey(CELL.id, "trace", 1)
        assert store.units("r1") == {time: "abc", trace: ""}
        assert store.metric("r1", time, "step_seconds") == 2.0
        assert store.metric("r1", trace, "step_seconds") is None
        assert store.metric("r1", TaskKey(CELL.id, "time", 2), "step_seconds") is None


def test_the_run_that_was_added_last_may_be_asked_for_a_profile(tmp_path):
    with Store.create(tmp_path / "results.sqlite") as store:
        for name, profile in (("r1", "pi4"), ("r2", "pi5"), ("r3", "pi5")):
            store.add_run(make_run(name, origin="fleet", profile=profile), planned(CELL))
        assert store.last_added("quick", "fleet")[0].id == "r3"
        assert store.last_added("quick", "fleet", "pi4")[0].id == "r1"
        assert store.last_added("quick", "run", "pi4") == ()
