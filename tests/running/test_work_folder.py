"""Work files: made under a random name, removed by whoever made them, never through a link."""

import errno
import os
import signal

import pytest

from ondevice_bench.errors import BadInput
from ondevice_bench.running.work_folder import work_folder
from ondevice_bench.running.workspace import locked


def killed_inside(parent):
    """Fork a process that is killed while it uses a work folder; the folder that it leaves."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        with work_folder("batches", parent) as folder:
            (folder / "half").mkdir()
            (folder / "half" / "batch").write_bytes(b"x")
            os.write(write, str(folder).encode())
            signal.pause()
    left = os.read(read, 1000).decode()
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    os.close(read)
    os.close(write)
    return left


def test_a_work_folder_is_new_and_goes_with_its_work(tmp_path):
    with work_folder("batches", tmp_path) as one, work_folder("batches", tmp_path) as other:
        assert one.parent == other.parent == tmp_path
        assert one != other
        (one / "batch").write_bytes(b"x")
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_process_left_is_swept_and_nothing_else(tmp_path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "thesis").write_text("mine")
    out = tmp_path / "out"
    out.mkdir()
    (out / "batches").mkdir()
    (out / "batches" / "mine").write_text("mine")
    (out / "bench-batches-mine").mkdir()
    (out / "bench-link").symlink_to(elsewhere)
    kept = {*out.iterdir(), *(out / "batches").iterdir()}
    left = killed_inside(out)
    assert os.path.isdir(left)
    os.symlink(elsewhere, f"{left}/link")
    with work_folder("batches", out) as alive:
        assert not os.path.exists(left)
        with work_folder("batches", out):
            assert alive.is_dir()  # its process lives
    assert {*out.iterdir(), *(out / "batches").iterdir()} == kept
    assert (elsewhere / "thesis").read_text() == "mine"


def test_a_folder_that_became_a_link_is_not_followed(tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis").write_text("mine")
    with work_folder("batches", tmp_path) as folder:
        folder.rename(tmp_path / "moved")
        folder.symlink_to(tmp_path / "mine")
    assert (tmp_path / "mine" / "thesis").read_text() == "mine"


@pytest.mark.parametrize("kind", ["file", "link", "pipe"])
def test_a_lock_that_is_not_ours_is_left_as_it_is(tmp_path, kind):
    out, other = tmp_path / "out", tmp_path / "other"
    out.mkdir()
    if kind == "pipe":
        os.mkfifo(out / ".lock")
    else:
        other.write_text("mine")
        (out / ".lock").symlink_to(other) if kind == "link" else other.rename(out / ".lock")
    with pytest.raises(BadInput) as error, locked(out):
        pass
    assert len(error.value.lines) == 1
    if kind != "pipe":
        assert (out / ".lock").read_text() == "mine"


def test_a_file_system_without_locks_is_named(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr("fcntl.flock", refuse)
    with pytest.raises(BadInput, match="its file system has no locks"), locked(tmp_path):
        pass


def test_where_nothing_can_be_written_one_line_says_so(tmp_path):
    with pytest.raises(BadInput, match="cannot be written"), work_folder("x", tmp_path / "none"):
        pass
