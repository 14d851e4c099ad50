"""What the disk below a store does, in the words of `bench`."""

import resource
import shutil

import pytest

from ondevice_bench.errors import BadInput
from ondevice_bench.record import store_file
from ondevice_bench.record.store import Store

USAGE = shutil.disk_usage("/")


@pytest.fixture
def broken_disk():
    """No file may have more bytes than this: to SQLite it is a disk that fails."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (8192, hard))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize(
    ("free", "said"),
    [(0, r"the disk is full \(disk I/O error\)"), (1 << 30, "disk I/O error")],
)
@pytest.mark.usefixtures("broken_disk")
def test_a_full_disk_is_not_called_a_broken_one(tmp_path, monkeypatch, free, said):
    """SQLite says the same of both: its file of shared memory cannot be made."""
    monkeypatch.setattr(store_file.shutil, "disk_usage", lambda _: USAGE._replace(free=free))
    path = tmp_path / "results.sqlite"
    with pytest.raises(BadInput, match=f"^{path}: {said}$"), Store.create(path):
        pass


@pytest.fixture
def ended_store(tmp_path):
    """A store whose writer was killed: its last rows are in the log beside it."""
    path, killed = tmp_path / "results.sqlite", tmp_path / "killed"
    killed.mkdir()
    with Store.create(path) as store:
        store._db.execute("CREATE TABLE last_row (a)")
        for name in ("results.sqlite", "results.sqlite-wal"):
            shutil.copy(tmp_path / name, killed)
    return killed / "results.sqlite"


def test_a_log_that_cannot_be_read_on_a_full_disk_is_said_plainly(ended_store, request):
    before = {each.name: each.read_bytes() for each in ended_store.parent.iterdir()}
    request.getfixturevalue("broken_disk")
    with pytest.raises(BadInput) as error:
        Store.open(ended_store)
    (line,) = error.value.lines
    assert line.startswith(f"{ended_store}: disk I/O error: a command was ended while it wrote")
    assert "needs 32 KiB in this folder to read results.sqlite-wal: make room, or copy" in line
    for name, content in before.items():
        assert (ended_store.parent / name).read_bytes() == content


def test_a_log_is_read_where_there_is_room(ended_store):
    with Store.open(ended_store) as store:
        store._db.execute("SELECT a FROM last_row")
