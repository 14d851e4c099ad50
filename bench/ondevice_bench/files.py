"""Files that are written completely or not at all."""

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from ondevice_bench.errors import BadInput


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
