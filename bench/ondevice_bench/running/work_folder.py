"""Folders for work files: a random name, removed when the work ends, swept if it was killed.

Each folder has a file with a lock, which the kernel releases when the process ends. Only a folder
with such a file, of this user and without a living owner, is ever swept. No link is followed.
"""

import contextlib
import fcntl
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

from ondevice_bench.errors import BadInput

_OWNER = ".bench-owner"
_SIGNATURE = b"a work folder of bench: removed when its process ends\n"


@contextlib.contextmanager
def work_folder(kind: str, parent: Path | None = None) -> Iterator[Path]:
    """A new folder in `parent`, or in the folder for temporary files.

    What processes that were killed left there goes first, whatever its kind.
    """
    with contextlib.ExitStack() as stack:
        try:
            place = Path(tempfile.gettempdir()) if parent is None else parent
            _sweep(place)
            folder = place / Path(tempfile.mkdtemp(prefix=f"bench-{kind}-", dir=place)).name
            stack.callback(_remove, folder)
            _own(folder, stack)
        except OSError as error:
            raise BadInput(f"{parent or 'temporary files'}: cannot be written: {error}") from None
        yield folder


def _own(folder: Path, stack: contextlib.ExitStack) -> None:
    """Hold the folder's lock. The signature comes after the lock, so no sweep comes in between."""
    owner = stack.enter_context((folder / _OWNER).open("xb"))
    with contextlib.suppress(OSError):  # a file system without locks: no sweep there
        fcntl.flock(owner, fcntl.LOCK_EX)
    owner.write(_SIGNATURE)
    owner.flush()


def _sweep(place: Path) -> None:
    """Remove the work folders there whose process has ended."""
    with os.scandir(place) as entries:
        found = [Path(entry.path) for entry in entries if entry.name.startswith("bench-")]
    for folder in found:
        with contextlib.suppress(OSError):
            status = folder.lstat()
            if stat.S_ISDIR(status.st_mode) and status.st_uid == os.geteuid():
                _remove_if_abandoned(folder)


def _remove_if_abandoned(folder: Path) -> None:
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK
    with os.fdopen(os.open(folder / _OWNER, flags), "rb") as owner:
        fcntl.flock(owner, fcntl.LOCK_EX | fcntl.LOCK_NB)  # fails while the owner lives
        if owner.read(len(_SIGNATURE) + 1) == _SIGNATURE:
            _remove(folder)


def _remove(folder: Path) -> None:
    """Remove the folder, its signature last: what a kill leaves can be swept."""
    with contextlib.suppress(OSError):
        opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        try:
            for name in set(os.listdir(opened)) - {_OWNER}:
                if stat.S_ISDIR(os.lstat(name, dir_fd=opened).st_mode):
                    shutil.rmtree(name, ignore_errors=True, dir_fd=opened)
                else:
                    os.unlink(name, dir_fd=opened)
        finally:
            os.close(opened)
    shutil.rmtree(folder, ignore_errors=True)
