"""Files that are written completely or not at all."""

import errno
import os
from pathlib import Path

import pytest

from ondevice_bench import files
from ondevice_bench.errors import BadInput
from ondevice_bench.files import atomic_write
from ondevice_bench.record.store import Store


def test_nothing_of_a_file_is_seen_before_it_is_complete(tmp_path):
    """So nothing stays behind if the process is killed meanwhile."""
    with atomic_write(tmp_path / "a") as file:
        file.write(b"half")
        file.flush()
        assert list(tmp_path.iterdir()) == []
    assert (tmp_path / "a").read_bytes() == b"half"


@pytest.mark.parametrize("has_name", [True, False])
def test_a_file_is_replaced_or_stays(tmp_path, monkeypatch, has_name):
    if has_name:  # a file system that cannot hold a file without a name
        monkeypatch.setattr(files, "_without_name", lambda _: None)
    path = tmp_path / "a"
    for content in (b"one", b"two"):
        with atomic_write(path) as file:
            file.write(content)
        assert path.read_bytes() == content
    with pytest.raises(ZeroDivisionError), atomic_write(path) as file:
        file.write(bytes(1 // 0))
    assert path.read_bytes() == b"two"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("has_name", [True, False])
@pytest.mark.parametrize("mask", [0o022, 0o077, 0o002])
def test_a_file_is_as_open_to_others_as_the_user_wants(tmp_path, monkeypatch, has_name, mask):
    """The umask of a user decides who may read the user's results."""
    if has_name:
        monkeypatch.setattr(files, "_without_name", lambda _: None)
    before = os.umask(mask)
    try:
        with atomic_write(tmp_path / "a"):
            pass
    finally:
        os.umask(before)
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o666 & ~mask


@pytest.mark.parametrize("has_name", [True, False])
def test_a_file_that_is_replaced_keeps_its_permissions(tmp_path, monkeypatch, has_name):
    if has_name:
        monkeypatch.setattr(files, "_without_name", lambda _: None)
    path = tmp_path / "a"
    path.write_bytes(b"one")
    path.chmod(0o640)
    with atomic_write(path) as file:
        file.write(b"two")
    assert path.stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize("has_name", [True, False])
def test_a_file_is_on_the_disk_before_it_has_its_name(tmp_path, monkeypatch, has_name):
    """Otherwise a board that loses its power may keep the new name and no content."""
    if has_name:
        monkeypatch.setattr(files, "_without_name", lambda _: None)
    path, synced = tmp_path / "a", []
    path.write_bytes(b"old")
    monkeypatch.setattr(
        os, "fsync", lambda number: synced.append((os.fstat(number).st_size, path.read_bytes()))
    )
    with atomic_write(path) as file:
        file.write(b"new content")
    assert synced == [(11, b"old")]
    assert path.read_bytes() == b"new content"


@pytest.mark.parametrize(("number", "is_kept"), [(errno.EINVAL, False), (errno.EIO, True)])
def test_a_disk_that_fails_at_the_end_keeps_the_old_file(tmp_path, monkeypatch, number, is_kept):
    """A file system that cannot sync is not such a disk."""

    def fail(_):
        raise OSError(number, os.strerror(number))

    path = tmp_path / "a"
    path.write_bytes(b"old")
    monkeypatch.setattr(os, "fsync", fail)
    try:
        with atomic_write(path) as file:
            file.write(b"new")
    except BadInput as error:
        assert str(error) == f"{path}: cannot be written: {os.strerror(number)}"
    assert path.read_bytes() == (b"old" if is_kept else b"new")
    assert list(tmp_path.iterdir()) == [path]


def test_a_link_stays_and_its_file_is_replaced(tmp_path):
    real, link = tmp_path / "real" / "a", tmp_path / "link"
    link.symlink_to("real/a")
    for content in (b"one", b"two"):  # the first time, nothing is there yet
        with atomic_write(link) as file:
            file.write(content)
        assert link.is_symlink()
        assert real.read_bytes() == content
    assert list(real.parent.iterdir()) == [real]


def test_a_folder_is_no_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for path in (tmp_path, Path(), Path("..")):
        with (
            pytest.raises(BadInput, match=r"cannot be written: Is a directory$"),
            atomic_write(path),
        ):
            pytest.fail("is found before anything is written")
    assert list(tmp_path.iterdir()) == []


def test_a_pipe_or_a_device_is_never_replaced(tmp_path):
    """Root could put a file in the place of /dev/null."""
    pipe, link = tmp_path / "pipe", tmp_path / "link"
    os.mkfifo(pipe)
    link.symlink_to(pipe)
    for path in (pipe, link):
        with pytest.raises(BadInput, match="is not a regular file"), atomic_write(path):
            pytest.fail("is found before anything is written")
    assert pipe.is_fifo()


def test_a_store_is_never_replaced(tmp_path):
    path = tmp_path / "results.sqlite"
    with Store.create(path):
        pass
    before = path.read_bytes()
    with pytest.raises(BadInput, match="is a store of results"), atomic_write(path):
        pytest.fail("is found before anything is written")
    assert path.read_bytes() == before


def test_a_file_that_cannot_be_written_leaves_no_folder(tmp_path):
    for name in ("a" * 300, "a" * 250):  # the second is too long only with what is added to it
        with (
            pytest.raises(BadInput, match="File name too long"),
            atomic_write(tmp_path / "x/y" / name),
        ):
            pytest.fail("is found before anything is written")
    with pytest.raises(ZeroDivisionError), atomic_write(tmp_path / "x/y/a") as file:
        file.write(bytes(1 // 0))
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_somebody_else_uses_stays(tmp_path):
    with pytest.raises(ZeroDivisionError), atomic_write(tmp_path / "x/a") as file:
        file.write(bytes((tmp_path / "x/b").write_text("") // 0))
    assert list((tmp_path / "x").iterdir()) == [tmp_path / "x/b"]
