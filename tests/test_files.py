"""Files that are written completely or not at all."""

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
    assert path.stat().st_mode & 0o777 == 0o644


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
