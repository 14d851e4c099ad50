"""The time of an example on a board, from earlier runs on such a board."""

from pathlib import Path

import pytest

from ondevice_bench.analyse.past_speeds import seconds_of_an_example
from ondevice_bench.hardware.profile import load_profile
from ondevice_bench.record.store import Store
from ondevice_bench.running.boards import facts_of
from ondevice_bench.running.hosts.fake import FakeHost
from tests.record.conftest import CELL, make_record, make_run, planned

HOST = FakeHost(profile=load_profile("x86"))
HERE = {**HOST.machine.to_dict(), "threads": HOST.threads}
PI = {"arch": "aarch64", "board": "Raspberry Pi 5 Model B Rev 1.0", "threads": 4}


@pytest.mark.parametrize(
    ("board", "profile", "machine", "settings", "counts"),
    [
        (None, "x86", {}, {}, True),
        (None, "x86", {"unit": "0123456789ab"}, {}, True),
        (None, "x86", {"cpu": "a faster one"}, {}, False),  # as of an imported run
        ("x86-1core-2g", "x86", {"threads": 2}, {}, False),  # it extends x86
        ("x86-1core-2g", "x86-1core-2g", {"threads": 1}, {}, True),
        ("pi5-4gb", "pi5", PI, {}, True),
        ("pi5-4gb", "pi5", {**PI, "threads": 2}, {}, False),
        ("pi5-4gb", "pi5", PI, {"emulated": True}, False),
        ("pi5-4gb", "x86", {}, {}, False),
    ],
)
def test_only_times_of_such_a_board_count(workplace, board, profile, machine, settings, counts):
    whole = {**make_run().settings, **settings}
    run = make_run(profile=profile, machine={**HERE, **machine}, settings=whole)
    folder = Path("bench-out/quick")
    folder.mkdir(parents=True)
    with Store.create(folder / "results.sqlite") as store:
        store.add_run(run, planned(CELL))
        store.add_record(make_record(metrics={"step_seconds": 4.0}))
    names = load_profile(board or "x86").lineage
    found = seconds_of_an_example(names, facts_of(board, HOST))
    assert found == ({CELL.of_any_size: 0.5} if counts else {})
