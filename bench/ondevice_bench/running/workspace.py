"""The folder of a run is locked while it measures."""

import contextlib
import fcntl
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from ondevice_bench.errors import BadInput
from ondevice_bench.record.store_file import no_locks

_NAME = ".lock"
_HOLDER = b"bench (process "
_WITHOUT_WAITING = os.O_NOFOLLOW | os.O_NONBLOCK


@contextlib.contextmanager
def locked(out: Path) -> Iterator[None]:
    """One run at a time in a folder: two would disturb each other's measurements."""
    path = out / _NAME
    try:
        out.mkdir(parents=True, exist_ok=True)
        flags = os.O_RDWR | os.O_CREAT | _WITHOUT_WAITING
        lock = os.fdopen(os.open(path, flags, 0o644), "r+b")
    except OSError as error:
        raise BadInput(f"{out}: cannot be written: {error.strerror}") from None
    with lock as file:
        content = file.read(200) if stat.S_ISREG(os.fstat(file.fileno()).st_mode) else b"no file"
        if content and not content.startswith(_HOLDER):
            raise BadInput(f"{path}: is not a lock of bench: choose another folder with --out")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = content.decode(errors="replace").strip() or "another process"
            raise BadInput(f"{out}: {holder} is measuring into this folder") from None
        except OSError as error:
            raise no_locks(out, error) from None
        file.seek(0)
        file.truncate()
        file.write(_HOLDER + b"%d)" % os.getpid())
        file.flush()
        yield


def is_in_use(out: Path) -> bool:
    """Whether a run measures into the folder now."""
    try:
        with os.fdopen(os.open(out / _NAME, os.O_RDONLY | _WITHOUT_WAITING), "rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:  # nothing was ever measured there, or the file system has no locks
        return False
    return False
