"""Small files of the kernel."""

import os

import pytest

from ondevice_bench.sensors.kernel_file import text_of


@pytest.mark.parametrize(
    ("content", "text"),
    [(b"performance\n", "performance"), (b"  7 \n", "7"), (b"", ""), (b"VDD\xb5\n", "VDD\ufffd")],
)
def test_the_text_of_a_file_has_no_spaces_around_it_and_any_bytes_are_read(tmp_path, content, text):
    (tmp_path / "a").write_bytes(content)
    assert text_of(tmp_path / "a") == text


def test_a_file_that_cannot_be_read_is_empty(tmp_path):
    os.symlink("loop", tmp_path / "loop")
    for path in (tmp_path, tmp_path / "missing", tmp_path / "loop"):
        assert text_of(path) == ""
