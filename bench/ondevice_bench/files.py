"""Files that are written completely or not at all, and zip files from anybody."""

import contextlib
import io
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from ondevice_bench.errors import BadInput

if TYPE_CHECKING:
    from zipfile import ZipFile

LONGEST_LIST = 1 << 20  # bytes of a zip file that list its members


@contextlib.contextmanager
def atomic_write(path: Path) -> Iterator[BinaryIO]:
    """Write a new file, then rename it to `path`: nobody reads half a file."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, part = tempfile.mkstemp(
            dir=path.parent, prefix=f".{path.name}-", suffix=".part"
        )
        try:
            with os.fdopen(descriptor, "wb") as file:
                yield file
            os.chmod(part, 0o644)
            os.replace(part, path)
        except BaseException:
            os.unlink(part)
            raise
    except OSError as error:
        raise BadInput(f"{path}: cannot be written: {error.strerror}") from None


def require_regular(path: Path) -> None:
    """BadInput for a pipe, a socket or a device: to open one can wait for ever."""
    if path.exists() and not path.is_file() and not path.is_dir():
        raise BadInput(f"{path}: is no regular file")


@contextlib.contextmanager
def open_zip(path: Path) -> "Iterator[ZipFile]":
    """A zip file to read. BadZipFile for one with too many members.

    `zipfile` reads their whole list at once. It makes an object for each member, which is ten times
    as large as a line of the list.
    """
    from zipfile import BadZipFile, ZipFile

    with _ZipFile(io.FileIO(path)) as file:
        try:
            packed = ZipFile(file)
        except BadZipFile as error:
            if isinstance(error.__context__, OSError):  # the disk has failed, not the file
                raise error.__context__ from None
            raise
        file.longest_read = None
        with packed:
            yield packed


class _ZipFile(io.BufferedReader):
    longest_read: int | None = LONGEST_LIST

    def read(self, size: int | None = -1, /) -> bytes:
        if size is not None and self.longest_read is not None and size > self.longest_read:
            from zipfile import BadZipFile

            raise BadZipFile("its list of members is too long")
        return super().read(size)
