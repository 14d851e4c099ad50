"""Paths that the user gives. They may name anything, also what cannot exist."""

import os
import stat
from pathlib import Path


def user_path(text: str, folder: Path) -> Path:
    """The absolute path, with `~` and links resolved, relative to `folder`.

    It never raises: a loop of links, or the home of an unknown user, stays as it is.
    """
    return Path(os.path.realpath(folder / os.path.expanduser(text)))


def require_file(path: Path, text: str) -> None:
    """ValueError unless it is a file that can be read: a pipe or a device may have no end."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise ValueError(f"{text}: is not a file")
        path.open("rb").close()
    except OSError as error:
        raise ValueError(f"{text}: cannot be read: {error.strerror}") from None
