"""The file of a store: it is opened unchanged, or refused in one line."""

import contextlib
import fcntl
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from pathlib import Path

from ondevice_bench.errors import BadInput, first_line
from ondevice_bench.files import require_regular

_NEEDED = 32 << 10  # bytes of a file that SQLite makes beside a store, also to read it
_LEAST_ROOM = 2 * _NEEDED
_KIND = 0xFF  # the part of SQLite's extended codes that names the kind of an error
# what SQLite says if it cannot make its file beside a store
_NO_ROOM = {
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_FULL,
}


def read_only(path: Path) -> sqlite3.Connection:
    """Open for reading beside a writer. If the folder is read-only, open without touching it.

    Only a connection that may write removes SQLite's files beside the store at its end.
    """
    uri = path.resolve().as_uri()
    connection = sqlite3.connect(f"{uri}?mode=rw", uri=True, isolation_level=None)
    try:
        connection.execute("PRAGMA query_only = ON")
        connection.execute("SELECT 1 FROM sqlite_master").fetchone()
    except sqlite3.OperationalError as error:
        connection.close()
        log = path.with_name(f"{path.name}-wal")
        if log.exists() and _kind(error) in _NO_ROOM:
            # without its log, the store would lack the last records
            raise BadInput(
                f"{path}: {_reason(path, error)}: a command was ended while it wrote here, and "
                f"SQLite needs {_NEEDED >> 10} KiB in this folder to read {log.name}: make room, "
                "or copy both files to a folder that can be written"
            ) from None
        if log.exists():
            raise
        connection = sqlite3.connect(f"{uri}?mode=ro&immutable=1", uri=True, isolation_level=None)
    return connection


def identity(path: Path) -> tuple[int, int] | None:
    """What distinguishes a file from another one with its name; None if there is none."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def refuse_foreign(path: Path) -> None:
    """A clear error for a file that is not SQLite, before SQLite touches it."""
    if path.is_dir():
        raise BadInput(f"{path}: is a folder, not a store")
    if not path.exists():
        return
    require_regular(path)
    try:
        with path.open("rb") as file:
            head = file.read(16)
    except OSError as error:
        raise BadInput(f"{path}: cannot be read: {error.strerror}") from None
    if head and head != b"SQLite format 3\0":
        raise BadInput(f"{path}: not a store of bench (not a SQLite file)")


def require_locks(folder: Path) -> None:
    """Refuse a folder without locks. SQLite would wait there, and then call the store locked.

    The lock is tried on a file of its own, because it would end the locks of an open store.
    """
    with contextlib.ExitStack() as stack:
        try:
            trial = stack.enter_context(tempfile.TemporaryFile(dir=folder))
        except OSError:  # SQLite says why nothing can be written there
            return
        try:
            fcntl.lockf(trial, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise no_locks(folder, error) from None


def no_locks(folder: Path, error: OSError) -> BadInput:
    """The error of a folder in which no file can be locked."""
    return BadInput(
        f"{folder}: its file system has no locks ({error.strerror}): choose a folder on another "
        "one with --out"
    )


@contextlib.contextmanager
def as_bad_input(path: Path) -> Iterator[None]:
    """Errors of SQLite and of rows as bad input: a full or read-only disk, a damaged file."""
    try:
        yield
    except sqlite3.Error as error:
        raise BadInput(f"{path}: {_reason(path, error)}") from error
    except (ValueError, RecursionError, OverflowError) as error:
        raise BadInput(f"{path}: damaged, or not made by bench: {first_line(error)}") from error


def _kind(error: sqlite3.Error) -> int:
    return (getattr(error, "sqlite_errorcode", None) or sqlite3.SQLITE_OK) & _KIND


def _reason(path: Path, error: sqlite3.Error) -> str:
    """What SQLite says. A full disk may look like a broken one to it."""
    if _kind(error) == sqlite3.SQLITE_IOERR:
        with contextlib.suppress(OSError):
            if shutil.disk_usage(path.parent).free < _LEAST_ROOM:
                return f"the disk is full ({first_line(error)})"
    return first_line(error)
