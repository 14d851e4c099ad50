"""The speed of a board, from earlier runs."""

import pytest

from ondevice_bench.analyse.past_speeds import seconds_of_an_example
from ondevice_bench.record.store import Store
from tests.record.conftest import CELL, make_run, planned, timed_records


@pytest.mark.parametrize(("is_emulated", "expected"), [(False, 0.5), (True, 0.25)])
def test_times_under_emulation_are_not_the_speed_of_the_board(workplace, is_emulated, expected):
    path = workplace / "bench-out" / "quick" / "results.sqlite"
    path.parent.mkdir(parents=True)
    with Store.create(path) as store:
        for run_id, profile, emulated, seconds in (
            ("r1", "pi5", False, 2.0),
            ("r2", "qemu", is_emulated, 6.0),
            ("r3", "x86", False, 80.0),
        ):
            settings = {**make_run().settings, "emulated": emulated}
            store.add_run(make_run(run_id, profile=profile, settings=settings), planned(CELL))
            for record in timed_records(run_id, [seconds]):
                store.add_record(record)
    found = seconds_of_an_example(["qemu", "pi5"])
    assert found == {CELL.of_any_size: expected}
