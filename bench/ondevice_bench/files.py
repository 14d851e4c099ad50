"""Files that are written completely or not at all, and zip files from unknown sources."""

import contextlib
import errno
import io
import os
import secrets
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from ondevice_bench.errors import BadInput

if TYPE_CHECKING:
    from zipfile import ZipFile

LONGEST_LIST = 1 << 20  # bytes of a zip file that list its members
_STORE = b"SQLite format 3\0"  # the first bytes of a store of results
_NO_SYNC = {errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP}  # of file systems that cannot


@contextlib.contextmanager
def atomic_write(path: Path) -> Iterator[BinaryIO]:
    """Write a new file, then rename it to `path`: no reader sees half a file.

    While it is written it has no name, if the file system can do that: so nothing of it stays
    behind when the process is killed. Its content is on the disk before it gets its name: so a
    board that loses its power keeps the old file or the new one. A link stays, and the file that it
    leads to is replaced.
    """
    try:  # a name that is too long is an OSError in each of these lines
        target = Path(os.path.realpath(path)) if path.is_symlink() else path
        made = [folder for folder in target.parents if not folder.exists()]  # the innermost first
        if os.path.isdir(target):
            raise BadInput(f"{path}: cannot be written: {os.strerror(errno.EISDIR)}")
        require_regular(path)
        _require_no_store(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        part = target.parent / f".{target.name}-{secrets.token_hex(4)}.part"
        try:
            part.exists()  # OSError for a name that is too long, before anything is written
            with _without_name(target.parent) or part.open("xb") as file:
                yield file
                _keep_mode(file, target)
                to_disk(file)
                if not part.exists():
                    number = file.fileno()  # as a folder, too: only so Python follows the link
                    os.link(f"/proc/self/fd/{number}", part, src_dir_fd=number)
            part.replace(target)
        except BaseException:
            with contextlib.suppress(OSError):
                part.unlink(missing_ok=True)
            _remove_empty(made)
            raise
    except OSError as error:
        raise BadInput(f"{path}: cannot be written: {error.strerror}") from None


def _keep_mode(file: BinaryIO, replaced: Path) -> None:
    """Give the new file the permissions of the one that it replaces, if there is one."""
    with contextlib.suppress(OSError):  # a file system without permissions
        os.fchmod(file.fileno(), replaced.stat().st_mode & 0o777)


def to_disk(file: BinaryIO) -> None:
    """Wait until the content of a file is on the disk, if the file system can say so."""
    file.flush()
    try:
        os.fsync(file.fileno())
    except OSError as error:
        if error.errno not in _NO_SYNC:
            raise


def _require_no_store(path: Path) -> None:
    """BadInput for a store: what is in it was measured, and cannot be computed again."""
    with contextlib.suppress(OSError):
        if not path.is_file():
            return
        with path.open("rb") as file:
            is_store = file.read(len(_STORE)) == _STORE
        if is_store:
            raise BadInput(f"{path}: is a store of results: choose another file")


def _remove_empty(folders: Sequence[Path]) -> None:
    """Remove folders that were made for a file, if they are still empty."""
    with contextlib.suppress(OSError):
        for folder in folders:
            folder.rmdir()


def _without_name(folder: Path) -> BinaryIO | None:
    """A new file that no folder lists; None if the file system or /proc cannot do that."""
    if not Path("/proc/self/fd").is_dir():
        return None
    try:
        return os.fdopen(os.open(folder, os.O_TMPFILE | os.O_WRONLY, 0o666), "wb")
    except OSError:
        return None


def require_regular(path: Path) -> None:
    """BadInput for a pipe, a socket or a device: to open one can wait for ever."""
    if path.exists() and not path.is_file() and not path.is_dir():
        raise BadInput(f"{path}: is not a regular file")


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
