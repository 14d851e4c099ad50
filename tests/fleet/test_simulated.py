"""Boards that only wait: whatever they do, every cell is measured once, and ratios stay on boards."""

import contextlib
import os
import sqlite3
import tempfile
import threading
import time
from collections import Counter, defaultdict
from pathlib import Path

import pytest

from ondevice_bench.analyse.family import MOST_PROCESSES, boards_in_family
from ondevice_bench.analyse.groups import groups
from ondevice_bench.analyse.summarise import summarise
from ondevice_bench.data.batch import BatchStore
from ondevice_bench.errors import BadInput
from ondevice_bench.fleet.fleet_file import Cooling
from ondevice_bench.record.store import FILE_NAME, Store
from ondevice_bench.running.session import Interrupted
from ondevice_bench.specs import sources
from tests.fleet.simulation import Rules, simulate, write_suite

pytest.importorskip("distributed", reason="dask is not installed: pip install '.[fleet]'")
FAST = {"scale": 2e-4, "failing": 0.1}


def of_cells(records):
    return [record for record in records if record.key.pass_name != "family"]


def require_whole(found, records, cells):
    """Every process has one record, and no portion of a run is of two boards."""
    (campaign,) = found.campaigns
    assert campaign.left == 0
    keys = Counter(record.key for record in of_cells(records))
    assert len(keys) == cells
    assert set(keys.values()) == {1}
    boards = defaultdict(set)
    for record in of_cells(records):
        seed = record.key.cell.rpartition("/")[2]
        if record.launch == "none":  # given up: the connection to each board was lost
            assert (record.status, "unit" in record.details) == ("failed", False)
            continue
        boards[seed, record.key.round].add(record.details["unit"])
    assert {len(units) for units in boards.values()} == {1}


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_every_cell_is_measured_once_though_boards_die_and_lose_their_way(workplace, seed):
    rules = Rules(seed=seed, losing=0.05, reboots=0.05, deaths={1: 2, 3: 5}, **FAST)
    found, (records,) = simulate(write_suite(workplace, 15), workplace / "out", 5, rules)
    require_whole(found, records, 60)
    died = [host.unit for host in found.hosts if host.died is not None]
    assert len(died) == 2
    # a board that died keeps the portions that it had completed
    measured = Counter(key for host in found.hosts for key in host.done)
    (campaign,) = found.campaigns
    assert campaign.run.finished is None  # as it was when the run began
    with Store.open(workplace / "out" / FILE_NAME) as store:
        assert store.runs()[0].finished
    assert sum(measured.values()) >= 60


def test_results_that_are_no_numbers_are_never_repeated(workplace):
    rules = Rules(scale=2e-4, failing=0.5)
    found, (records,) = simulate(write_suite(workplace, 5), workplace / "out", 3, rules)
    require_whole(found, records, 20)
    assert {record.status for record in of_cells(records)} > {"ok", "oom"}
    measured = Counter(key for host in found.hosts for key in host.done)
    assert set(measured.values()) == {1, 3}  # three boards share one cell


def test_later_rounds_wait_for_the_ranks_of_the_first(workplace):
    suite = write_suite(
        workplace, 3, measure="time", rounds="{time: 3}", methods=("vanilla", "asi: {epsilon: 0.9}")
    )
    rules = Rules(losing=0.1, deaths={0: 2}, **{**FAST, "failing": 0.0})
    found, (records,) = simulate(suite, workplace / "out", 3, rules)
    require_whole(found, records, 3 * (3 * 2 + 1))
    seen = set()
    for record in of_cells(records):
        seen.add((record.key.cell, record.key.pass_name))
        if "/asi" in record.key.cell:
            assert (record.key.cell, "calibrate") in seen


def test_a_board_out_of_family_measures_nothing_but_the_shared_cell(workplace):
    slow = {2: 1.5}
    found, (records,) = simulate(
        write_suite(workplace, 4), workplace / "out", 4, Rules(slow=slow, **FAST)
    )
    require_whole(found, records, 16)
    odd = found.hosts[2].unit
    of_odd = [record.key.pass_name for record in records if record.details["unit"] == odd]
    assert of_odd == ["family"] * MOST_PROCESSES
    assert found.hosts[2].renewals == MOST_PROCESSES - 1  # workers of one process share a pace
    assert len({record.key for record in records}) == len(records)
    assert any("board2 no longer takes part: out of family: its step" in n for n in found.notes)
    with Store.open(workplace / "out" / FILE_NAME) as store:
        summary = summarise(store, store.runs()[0])
    (outside,) = [each for each in boards_in_family(summary.cells) if each.is_outside]
    assert (outside.unit, outside.processes, outside.compared) == (odd, 0, MOST_PROCESSES)
    assert outside.ratio == pytest.approx(1.5, rel=0.01)


def test_boards_of_two_kinds_all_measure_and_a_line_says_so(workplace):
    """Nobody knows which half is unusual."""
    rules = Rules(slow={2: 1.3, 3: 1.3}, **FAST)
    found, (records,) = simulate(write_suite(workplace, 6), workplace / "out", 4, rules)
    require_whole(found, records, 24)
    assert len({record.details["unit"] for record in of_cells(records)}) == 4
    said = "in the step of the shared cell: board0 and board1 and board2 and board3; it is unknown"
    assert any(said in note for note in found.notes)


def test_one_process_of_the_shared_cell_that_fails_costs_no_board(workplace):
    rules = Rules(slow={2: 1.5}, failing_once=frozenset({1}), **FAST)
    found, (records,) = simulate(write_suite(workplace, 4), workplace / "out", 4, rules)
    require_whole(found, records, 16)
    assert [note for note in found.notes if "takes part" in note] == [
        note for note in found.notes if "board2 no longer takes part: out of family" in note
    ]


def test_a_run_whose_command_ended_before_its_last_portion_did_is_finished_by_the_next(workplace):
    suite, out = write_suite(workplace, 2), workplace / "out"
    simulate(suite, out, 2, Rules(**FAST))
    with contextlib.closing(sqlite3.connect(out / FILE_NAME)) as database:
        database.execute("UPDATE runs SET finished = NULL")
        database.commit()
    found, (records,) = simulate(suite, out, 2, Rules(**FAST))
    require_whole(found, records, 8)
    with Store.open(out / FILE_NAME) as store:
        assert store.runs()[0].finished


def test_a_portion_that_fails_on_the_board_that_began_it_goes_to_another(workplace):
    rules = Rules(broken_after={0: 1}, **FAST)
    found, (records,) = simulate(write_suite(workplace, 1), workplace / "out", 2, rules)
    require_whole(found, records, 4)
    assert {record.status for record in of_cells(records)} <= {"ok", "oom", "timeout", "failed"}
    assert not [record for record in records if record.reason.startswith("not measured")]


def test_a_board_that_is_slow_once_stays(workplace):
    """Its first process of the shared cell takes twice as long, and no later one."""
    suite = write_suite(workplace, 4)
    found, (records,) = simulate(suite, workplace / "out", 4, Rules(slow_once={2: 2.0}, **FAST))
    require_whole(found, records, 16)
    shared = Counter(r.details["unit"] for r in records if r.key.pass_name == "family")
    assert set(shared.values()) == {2}
    assert any(record.details["unit"] == found.hosts[2].unit for record in of_cells(records))
    assert not any("out of family" in note for note in found.notes)


def test_a_ratio_has_no_difference_between_boards_in_it(workplace):
    """Boards differ by 9 %, and every cell of a board by the same factor."""
    suite = write_suite(workplace, 1, rounds="{time: 4}", methods=("vanilla", "lean"))
    rules = Rules(scale=2e-4, failing=0.0, slow={1: 1.09})
    simulate(suite, workplace / "out", 2, rules)
    with Store.open(workplace / "out" / FILE_NAME) as store:
        summary = summarise(store, store.runs()[0])
    (group,) = groups(summary)
    _, lean = group.members
    seconds = {value for (value,) in lean.cell.samples["step_seconds"]}
    assert len(seconds) == 2  # both boards measured it
    ratio = lean.ratio("step_seconds")
    assert ratio.lower == pytest.approx(ratio.upper)
    assert ratio.basis.startswith("median of 4 rounds' ratios, each on one board")


def test_a_hot_board_leaves_its_work_to_others_and_a_hot_fleet_skips_it(workplace):
    rules = Rules(hot={0: 10**6}, **FAST)
    found, (records,) = simulate(
        write_suite(workplace, 2), workplace / "one", 2, rules, Cooling(70, 0)
    )
    require_whole(found, records, 8)
    assert {record.details["unit"] for record in records} == {found.hosts[1].unit}
    assert any("board0 no longer takes part: the board has 90.0 °C" in n for n in found.notes)
    rules = Rules(hot={0: 10**6}, **FAST)
    found, (records,) = simulate(
        write_suite(workplace, 2), workplace / "all", 1, rules, Cooling(70, 0)
    )
    assert {record.status for record in records} == {"skipped"}
    assert len(records) == 8
    unit = found.hosts[0].unit
    assert all(
        f"board {unit}: the board has 90.0 °C, more than 70 °C" in each.reason for each in records
    )


def test_a_board_that_cools_down_measures(workplace):
    rules = Rules(hot={0: 1}, **FAST)
    began = time.monotonic()
    found, (records,) = simulate(
        write_suite(workplace, 1), workplace / "out", 1, rules, Cooling(70, 0.2)
    )
    assert time.monotonic() - began > 0.2
    require_whole(found, records, 4)


def test_work_whose_way_is_always_lost_fails_after_some_attempts(workplace):
    rules = Rules(losing=1.0, **FAST)
    found, (records,) = simulate(write_suite(workplace, 1), workplace / "out", 1, rules)
    assert {record.status for record in records} == {"failed"}
    assert all(
        record.reason == "not measured: 5 attempts failed; the last: not measured: lost"
        for record in records
    )
    assert len(found.hosts[0].done) == 5


def test_a_board_that_measures_nothing_does_not_take_the_work_of_others(workplace):
    rules = Rules(broken=frozenset({0}), **FAST)
    found, (records,) = simulate(write_suite(workplace, 12), workplace / "out", 3, rules)
    require_whole(found, records, 48)
    assert not [record for record in records if record.reason.startswith("not measured")]
    assert any("board0 no longer takes part: 3 portions in a row" in n for n in found.notes)


def test_a_problem_of_the_desk_ends_the_run_with_its_line_and_costs_no_board(
    workplace, monkeypatch
):
    suite, out = write_suite(workplace, 6), workplace / "out"
    write = BatchStore._write

    def full(self, path, arrays):
        if len(list(self.folder.glob("*"))) == 3:
            raise BadInput(f"{path}: cannot be written: No space left on device")
        write(self, path, arrays)

    monkeypatch.setattr(BatchStore, "_write", full)
    with pytest.raises(BadInput, match=r"No space left on device$") as raised:
        simulate(suite, out, 3, Rules(**FAST))
    assert len(raised.value.lines) == 1
    monkeypatch.setattr(BatchStore, "_write", write)
    found, (records,) = simulate(suite, out, 3, Rules(**FAST))
    require_whole(found, records, 24)


def test_a_fleet_whose_boards_all_die_goes_on_with_the_next_command(workplace):
    suite, out = write_suite(workplace, 6), workplace / "out"
    rules = Rules(deaths={0: 9, 1: 7}, **FAST)
    found, (records,) = simulate(suite, out, 2, rules)
    first = of_cells(records)
    assert 0 < len(first) < 24
    assert found.campaigns[0].left >= 24 - len(first)  # and what the other began anew
    found, (records,) = simulate(suite, out, 2, Rules(**FAST))
    require_whole(found, records, 24)
    assert len(found.campaigns) == 1
    with Store.open(out / FILE_NAME) as store:
        (run,) = store.runs()
        assert run.finished
    # both boards live again, so each completes what it had begun, and repeats nothing
    measured = Counter(key for host in found.hosts for key in host.done)
    assert not {(r.key.cell, r.key.pass_name) for r in first} & set(measured)


def test_an_interrupt_stores_what_was_measured_and_the_next_command_goes_on(workplace, monkeypatch):
    suite, out = write_suite(workplace, 6), workplace / "out"
    from ondevice_bench.fleet.campaign import Campaign

    add = Campaign.add

    def interrupted(self, record):
        add(self, record)
        if self.left == 12:
            monkeypatch.setattr(Campaign, "add", add)
            raise KeyboardInterrupt

    monkeypatch.setattr(Campaign, "add", interrupted)
    with pytest.raises(Interrupted, match=r"interrupted: \d+ of 24 measurements are stored"):
        simulate(suite, out, 3, Rules(**FAST))
    assert [t.name for t in threading.enumerate() if "board" in t.name.lower()] == []
    found, (records,) = simulate(suite, out, 3, Rules(**FAST))
    require_whole(found, records, 24)


def test_nothing_listens_outside_of_this_machine(workplace):
    listening, is_over = set(), threading.Event()

    def look():
        while not is_over.wait(0.05):
            own = {os.path.realpath(each) for each in Path("/proc/self/fd").iterdir()}
            own = {path.rpartition("/")[2] for path in own}
            for table in ("tcp", "tcp6"):
                for line in Path(f"/proc/self/net/{table}").read_text().splitlines()[1:]:
                    words = line.split()
                    if words[3] == "0A" and f"socket:[{words[9]}]" in own:
                        listening.add(words[1].partition(":")[0])

    thread = threading.Thread(target=look)
    thread.start()
    simulate(write_suite(workplace, 4), workplace / "out", 2, Rules(scale=1e-3))
    is_over.set()
    thread.join()
    assert listening == {"0100007F"}  # 127.0.0.1


def test_dask_leaves_nothing_in_the_folder_for_temporary_files(workplace, monkeypatch):
    place = workplace / "tmp"
    place.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(place))
    simulate(write_suite(workplace, 2), workplace / "out", 2, Rules())
    assert list(place.iterdir()) == []


def test_two_kinds_of_boards_have_a_run_each_and_go_on_with_their_own(workplace):
    suite, out, kinds = write_suite(workplace, 3), workplace / "out", ("generic", "x86")
    rules = Rules(deaths={0: 5, 2: 5}, **FAST)  # both boards of the first kind
    found, (first, second) = simulate(suite, out, 2, rules, profiles=kinds)
    assert len(of_cells(first)) < 12
    assert len(of_cells(second)) == 12
    found, (first,) = simulate(suite, out, 2, Rules(**FAST), profiles=kinds[:1])
    require_whole(found, first, 12)
    with Store.open(out / FILE_NAME) as store:
        assert sorted(run.profile for run in store.runs()) == ["generic", "x86"]
        assert all(run.finished for run in store.runs())


def test_a_file_of_the_users_is_read_once_for_each_board_and_not_for_each_portion(
    workplace, monkeypatch
):
    """Weights may have gigabytes."""
    (workplace / "mine.py").write_text("class Mine:\n    pass\n")
    suite = write_suite(workplace, 4)
    suite.write_text(suite.read_text().replace("vanilla", "./mine.py:Mine"))
    digest, read_by = sources.digest, []

    def spied(file):
        read_by.append(threading.get_ident())
        return digest(file)

    monkeypatch.setattr(sources, "digest", spied)
    simulate(suite, workplace / "out", 2, Rules(**FAST))
    boards = Counter(read_by)
    del boards[threading.get_ident()]  # of the plan
    assert set(boards.values()) == {1}


def test_no_board_for_a_cell_is_one_line(workplace):
    suite = write_suite(workplace, 1)
    suite.write_text(suite.read_text() + "hardware: [pi5]\n")
    with pytest.raises(BadInput) as raised:
        simulate(suite, workplace / "out", 1, Rules())
    (line,) = raised.value.lines
    assert line.endswith(
        "is for pi5, and no board of the fleet that can measure has this profile (they have generic)"
    )
    assert not (workplace / "out").exists()
