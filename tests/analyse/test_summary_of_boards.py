"""What a history reads of a fleet's run: only some details, but the board of each record."""

from ondevice_bench.analyse.summarise import cell_estimates, summarise
from ondevice_bench.record.store import Store
from tests.record.conftest import CELL, make_record, make_run, planned


def test_the_board_of_a_record_is_read_without_its_details(tmp_path):
    run = make_run(settings={"measure": ["time"], "rounds": 3, "baseline": "vanilla"})
    notes = {"notes": ["of this board"], "cpus": [0]}
    with Store.create(tmp_path / "results.sqlite") as store:
        store.add_run(run, planned(CELL))
        for number, unit in enumerate(("a", "b", ""), 1):
            details = {**notes, "unit": unit} if unit else notes
            record = make_record(
                run.id, number=number, metrics={"step_seconds": 1.0}, details=details
            )
            store.add_record(record)
        (found,) = cell_estimates(store, run)
        (whole,) = summarise(store, run).cells
    assert found.origins["step_seconds"] == ((1, "a"), (2, "b"), (3, ""))
    assert found.origins == whole.origins
