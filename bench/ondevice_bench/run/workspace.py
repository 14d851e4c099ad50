"""The folder of a run: its lock and its batches."""

import contextlib
import fcntl
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from ondevice_bench.errors import BadInput


@contextlib.contextmanager
def locked(out: Path) -> Iterator[None]:
    """One run at a time in a folder: two would disturb each other's measurements."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        lock = (out / ".lock").open("a")
    except OSError as error:
        raise BadInput(f"{out}: cannot be written: {error.strerror}") from None
    with lock as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = (out / ".lock").read_text().strip() or "another process"
            raise BadInput(f"{out}: {holder} is measuring into this folder") from None
        file.truncate(0)
        file.write(f"bench (process {os.getpid()})")
        file.flush()
        yield


@contextlib.contextmanager
def batch_folder(out: Path) -> Iterator[Path]:
    """A folder for batches; what a killed run left behind goes first."""
    folder = out / "batches"
    shutil.rmtree(folder, ignore_errors=True)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
