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
