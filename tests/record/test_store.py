import errno
import os
import shutil
import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest

from ondevice_bench.errors import BadInput
from ondevice_bench.record import migrate
from ondevice_bench.record.store import Store
from ondevice_bench.suite.planned_cell import PlannedCell
from tests.record.conftest import CELL, SECOND, make_record, make_run, planned


@pytest.fixture
def store(tmp_path):
    with Store.create(tmp_path / "results.sqlite") as opened:
        yield opened


def test_a_run_comes_back_as_it_was_stored(store):
    run = make_run()
    cells = [*planned(CELL), PlannedCell(SECOND, "pi5", "pending", "pending on pi5")]
    store.add_run(run, cells)
    assert store.runs() == (run,)
    assert store.cells("r1") == tuple(cells)
    store.finish_run("r1", "2026-01-02")
    assert store.run("r1").finished == "2026-01-02"


@pytest.mark.usefixtures("durable")
def test_each_transaction_is_on_disk_before_it_ends(store):
    assert store._db.execute("PRAGMA synchronous").fetchone() == (2,)  # which is FULL
    assert store._db.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_one_run_is_found_without_reading_the_others(store):
    for name in ("r1", "r2", "r3"):
        store.add_run(make_run(name), planned(CELL))
    store._db.execute("UPDATE runs SET machine = 'no JSON' WHERE id <> 'r2'")
    assert store.run("r2") == make_run("r2")
    with pytest.raises(KeyError, match="r4"):
        store.run("r4")


def test_a_record_comes_back_as_it_was_stored_to_the_last_bit(store):
    store.add_run(make_run(), planned(CELL))
    record = make_record(
        metrics={"step_seconds": 0.1 + 0.2, "activation_bytes": 2**40 + 1},
        samples={"step_seconds": [0.1, 1 / 3]},
        unavailable={"peak_rss_bytes": "no"},
        details={"a": [1, {"b": None}]},
        state_before={"load_1min": 0.5},
        state_after={"load_1min": None},
    )
    store.add_record(record)
    assert store.records("r1") == (record,)
    assert store.statuses("r1") == {record.key: "ok"}


def test_a_repeated_task_replaces_its_record_and_keeps_the_earlier_attempt(store):
    store.add_run(make_run(), planned(CELL))
    store.add_record(make_record(status="failed", reason="first", output="traceback"))
    store.add_record(make_record(metrics={"step_seconds": 1.0}))
    (record,) = store.records("r1")
    assert (record.status, record.metrics) == ("ok", {"step_seconds": 1.0})
    rows = store._db.execute("SELECT cell, status, reason, output FROM earlier_attempts").fetchall()
    assert rows == [(CELL.id, "failed", "first", "traceback")]


def test_metrics_of_a_replaced_record_are_gone(store):
    store.add_run(make_run(), planned(CELL))
    store.add_record(make_record(metrics={"a": 1.0}, samples={"a": [1.0]}))
    store.add_record(make_record(metrics={"b": 1.0}))
    assert store._db.execute("SELECT name FROM metrics").fetchall() == [("b",)]
    assert store._db.execute("SELECT count(*) FROM samples").fetchone() == (0,)


def test_a_run_is_stored_whole_or_not_at_all(store):
    with pytest.raises(BadInput, match="UNIQUE"):
        store.add_run(make_run(), planned(CELL, CELL))
    assert store.runs() == ()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"id": "mcunet/vanilla/pattern:a\n/b8/s0"}, "id: String should match pattern"),
        ({"label": "rank²"}, "label: String should match pattern"),
    ],
)
def test_a_plan_that_could_not_be_read_again_is_not_stored(store, change, says):
    with pytest.raises(BadInput, match=f"^the run cannot be stored: {says}"):
        store.add_run(make_run(), planned(CELL, replace(SECOND, **change)))
    assert store.runs() == ()


def test_known_times_are_the_latest_of_that_machine(store):
    machine = make_run().machine
    other = make_run("r3", machine={**machine, "kernel": "7"})
    for run in (make_run("r1"), make_run("r2"), other, make_run("side", origin="ab")):
        store.add_run(run, planned(CELL))
    for name, seconds in (("r1", 1.0), ("r2", 2.0), ("r3", 9.0), ("side", 0.1)):
        store.add_record(make_record(name, seconds=seconds))
    store.add_record(make_record("r2", pass_name="trace", status="failed", reason="x"))
    assert store.seconds_by_fingerprint(machine) == {(CELL.fingerprint, "time"): 2.0}


def test_a_writer_that_fails_leaves_what_another_one_filled_meanwhile(tmp_path, monkeypatch):
    path = tmp_path / "results.sqlite"
    prepare = migrate.prepare

    def late(connection, where):
        monkeypatch.setattr(migrate, "prepare", prepare)
        with Store.create(path) as other:
            other.add_run(make_run(), planned(CELL))
        connection.close()
        raise sqlite3.OperationalError("database is locked")

    monkeypatch.setattr(migrate, "prepare", late)
    with pytest.raises(BadInput, match="database is locked"):
        Store.create(path)
    with Store.open(path) as store:
        assert len(store.runs()) == 1


def test_a_folder_without_locks_is_named_before_sqlite_waits_there(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr("fcntl.lockf", refuse)
    with pytest.raises(BadInput, match="its file system has no locks") as error:
        Store.create(tmp_path / "results.sqlite")
    assert len(error.value.lines) == 1
    assert not list(tmp_path.iterdir())


def import_at_once(path, begin, errors):
    """In a process of its own: import two runs, one of them like the others do."""
    os.read(begin, 1)
    try:
        with Store.create(path) as store:
            for name in ("same", f"r{os.getpid()}"):
                store.merge(make_run(name), planned(CELL), [make_record(name)])
    except BaseException as error:
        os.write(errors, f"{error!r}\n".encode())
    os._exit(0)


def test_first_imports_at_the_same_time_lose_nothing(tmp_path):
    for number in range(6):
        path = tmp_path / f"{number}.sqlite"
        (begin, go), (errors, error) = os.pipe(), os.pipe()
        children = []
        for _ in range(3):
            children.append(os.fork())
            if children[-1] == 0:
                os.close(go)
                import_at_once(path, begin, error)
        for end in (begin, go, error):
            os.close(end)
        for child in children:
            os.waitpid(child, 0)
        with open(errors) as pipe:
            assert pipe.read() == ""
        with Store.open(path) as store:
            runs = {run.id: len(store.records(run.id)) for run in store.runs()}
        assert runs == dict.fromkeys(["same", *(f"r{child}" for child in children)], 1)


def test_an_error_after_which_sqlite_ends_the_transaction_is_the_one_that_is_said(store):
    """It does so when memory runs out, or when a disk fails."""

    def fail():
        with store.one_state():
            store._db.execute("ROLLBACK")
            raise sqlite3.OperationalError("disk I/O error")

    with pytest.raises(sqlite3.OperationalError, match="disk I/O error"):
        fail()


def test_the_closed_store_is_one_file(tmp_path):
    path = tmp_path / "results.sqlite"
    with Store.create(path) as store:
        store.add_run(make_run(), planned(CELL))
    assert [p.name for p in tmp_path.iterdir()] == ["results.sqlite"]


def test_readers_leave_no_files_beside_the_store(tmp_path):
    path = tmp_path / "results.sqlite"
    with Store.create(path) as store:
        store.add_run(make_run(), planned(CELL))
        with Store.open(path) as reader:
            reader.runs()
    with Store.open(path) as one, Store.open(path) as other:
        assert one.runs() == other.runs()
        with pytest.raises(BadInput, match="readonly"):
            one.finish_run("r1", "2026-01-02")
    assert [p.name for p in tmp_path.iterdir()] == ["results.sqlite"]


@pytest.mark.parametrize("replace", [Path.unlink, lambda path: path.rename(path.parent / "old")])
def test_a_store_that_is_gone_takes_no_more_records(tmp_path, replace):
    with Store.create(tmp_path / "results.sqlite") as store:
        store.add_run(make_run(), planned(CELL))
        replace(store.path)
        with pytest.raises(BadInput, match="was deleted or replaced, so its results are lost"):
            store.add_record(make_record())


@pytest.mark.parametrize("size", [0, 4096])
def test_a_store_that_is_cut_under_its_writer_is_one_clear_line(tmp_path, size):
    def add_and_read():
        for _ in range(3):  # the writer has some pages in its memory
            store.add_record(make_record())
            store.records("r1")

    with Store.create(tmp_path / "results.sqlite") as store:
        store.add_run(make_run(), planned(CELL))
        os.truncate(store.path, size)
        with pytest.raises(BadInput, match=r"results\.sqlite: ") as refused:
            add_and_read()
    assert len(refused.value.lines) == 1


def test_a_store_can_be_read_beside_its_writer_and_from_a_read_only_copy(store, tmp_path):
    store.add_run(make_run(), planned(CELL))
    with Store.open(store.path) as reader:
        assert len(reader.runs()) == 1


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"not a database at all, but some text", "not a store of bench"),
        (b"SQLite format 3\0" + b"\xff" * 200, "results.sqlite"),
        (b"", "an empty file"),
    ],
)
def test_what_is_no_store_is_refused_for_reading(tmp_path, content, says):
    path = tmp_path / "results.sqlite"
    path.write_bytes(content)
    with pytest.raises(BadInput, match=says):
        Store.open(path)
    assert path.read_bytes() == content


@pytest.mark.parametrize("content", [b"some text", b"SQLite format 3\0" + b"\xff" * 200])
def test_what_is_no_store_is_refused_for_writing_and_left_as_it_is(tmp_path, content):
    path = tmp_path / "results.sqlite"
    path.write_bytes(content)
    with pytest.raises(BadInput):
        Store.create(path)
    assert path.read_bytes() == content


def test_another_programs_database_is_refused(tmp_path):
    path = tmp_path / "results.sqlite"
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE runs (id)")
    connection.close()
    for way in (Store.open, Store.create):
        with pytest.raises(BadInput, match="of another program"):
            way(path)


def test_a_newer_store_is_refused_with_what_to_do(store, tmp_path):
    store._db.execute(f"PRAGMA user_version = {migrate.VERSION + 1}")
    store.close()
    for way in (Store.open, Store.create):
        with pytest.raises(BadInput, match=r"written by a newer bench .* upgrade ondevice-bench"):
            way(store.path)


def test_folders_and_missing_files_are_said(tmp_path):
    with pytest.raises(BadInput, match="is a folder"):
        Store.open(tmp_path)
    with pytest.raises(BadInput, match="no such store"):
        Store.open(tmp_path / "none.sqlite")


@pytest.mark.parametrize("position", [100, 5000, 9000, 14000])
def test_a_damaged_store_is_one_clear_line(store, position):
    store.add_run(make_run(), planned(CELL))
    for number in range(1, 40):
        store.add_record(make_record(number=number, samples={"a": [0.1] * 20}))
    store.close()
    raw = bytearray(store.path.read_bytes())
    raw[position : position + 600] = b"\xee" * 600
    store.path.write_bytes(raw)
    try:
        with Store.open(store.path) as damaged:
            damaged.runs()
            damaged.cells("r1")
            damaged.records("r1")
    except BadInput as error:
        assert str(store.path) in error.lines[0]


def test_a_store_of_format_1_is_still_read(tmp_path):
    """The sample was written by version 0.1.0; it is never written again."""
    sample = Path(__file__).parent / "samples" / "store-v1.sqlite"
    path = tmp_path / "results.sqlite"
    shutil.copy(sample, path)
    with Store.open(path) as store:
        (run,) = store.runs()
        assert run.suite == "quick"
        assert len(store.cells(run.id)) == 2
        statuses = [record.status for record in store.records(run.id)]
        assert sorted(statuses) == ["failed", "ok"]
        (good,) = [record for record in store.records(run.id) if record.status == "ok"]
        assert good.metrics == {"step_seconds": 0.25}
        assert good.samples == {"step_seconds": [0.25, 0.5]}
    with Store.create(path) as store:
        store.add_run(make_run("later"), planned(CELL))
        assert len(store.runs()) == 2
