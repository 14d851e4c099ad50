"""Paths of the user never raise anything but a ValueError with one line."""

import errno
import os
from pathlib import Path

import pytest

from ondevice_bench.specs import data, registry, weights
from ondevice_bench.specs.user_path import require_file, user_path


@pytest.fixture
def places(tmp_path):
    (tmp_path / "loop.pt").symlink_to("loop.pt")
    (tmp_path / "device.pt").symlink_to("/dev/zero")
    (tmp_path / "folder.pt").mkdir()
    os.mkfifo(tmp_path / "pipe.pt")
    (tmp_path / "file.pt").write_text("x")
    return tmp_path


def test_a_path_is_relative_to_the_folder_and_home_is_known(places):
    assert user_path("file.pt", places) == places / "file.pt"
    assert user_path(str(places / "file.pt"), Path()) == places / "file.pt"
    assert user_path("~/x.pt", places) == Path.home() / "x.pt"
    assert user_path("~nobody-at-all/x.pt", places) == places / "~nobody-at-all" / "x.pt"
    require_file(places / "file.pt", "file.pt")


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("loop.pt", "cannot be read: Too many levels"),
        ("device.pt", "is not a file"),
        ("folder.pt", "is not a file"),
        ("pipe.pt", "is not a file"),
        ("none.pt", "cannot be read: No such file"),
        ("~nobody-at-all/x.pt", "cannot be read: No such file"),
        (f"{'long' * 99}.pt", "cannot be read: File name too long"),
    ],
)
def test_what_is_no_file_is_refused_without_waiting_for_it(places, name, says):
    with pytest.raises(ValueError, match=says):
        weights.parse(name, places)
    with pytest.raises(ValueError, match=f"^{name}: {says}"):
        registry.own_method(f"{name}:Mine", places)


@pytest.mark.parametrize("kind", ["folder", "texts"])
def test_a_class_that_cannot_be_read_is_not_left_out(places, monkeypatch, kind):
    for name in ("cat", "dog"):
        (places / "pets" / name).mkdir(parents=True)
    scandir = os.scandir

    def refusing(folder):
        if Path(folder).name == "dog":
            raise PermissionError(errno.EACCES, "Permission denied", str(folder))
        return scandir(folder)

    monkeypatch.setattr(os, "scandir", refusing)
    with pytest.raises(ValueError, match=r"^pets: .*/dog cannot be read: Permission denied$"):
        data.parse({kind: "pets"}, places)


@pytest.mark.parametrize("name", ["loop.pt", "none", "file.pt", "long" * 99])
def test_what_is_no_folder_is_refused(places, name):
    with pytest.raises(ValueError, match="no such folder"):
        data.parse({"folder": name}, places)
