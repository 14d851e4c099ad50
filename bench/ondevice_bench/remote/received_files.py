"""The files that a desk has sent: each lies under the hash that it must have."""

import hashlib
import os
from collections.abc import Callable
from pathlib import Path, PurePosixPath

LONGEST_PLACE = 1_000  # characters
NOT_WRITTEN = "cannot be written on the board"


class NotReceived(Exception):
    """The file is not here as it was sent; the text says why."""


class ReceivedFiles:
    """Files below one folder, which only this user can read."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(mode=0o700)
        self.folder = folder

    def path(self, place: str) -> Path:
        """The path of a place below the folder; NotReceived if it leads out of it."""
        parts = PurePosixPath(place).parts
        if not parts or len(place) > LONGEST_PLACE or "\0" in place or {"..", "/"} & {*parts}:
            raise NotReceived(f"{place[:60]!r} is not a place for a file")
        return self.folder.joinpath(*parts)

    def receive(self, place: str, size: int, digest: str, chunk: Callable[[], bytes]) -> None:
        """Write a file of `size` bytes. The whole file is read from `chunk`, whatever fails."""
        found, left, problem = hashlib.sha256(), size, ""
        part = self.folder / "part"
        try:
            path = self.path(place)
            path.parent.mkdir(parents=True, exist_ok=True)
            with part.open("wb") as file:
                while left > 0:
                    data = chunk()
                    left -= len(data)
                    found.update(data)
                    file.write(data)
        except NotReceived as error:
            problem = str(error)
        except OSError as error:
            problem = f"{NOT_WRITTEN}: {error.strerror}"
        while left > 0:
            left -= len(chunk())
        if not problem and found.hexdigest() != digest:
            problem = "its content changed while it was sent"
        if problem:
            part.unlink(missing_ok=True)
            raise NotReceived(problem)
        os.replace(part, path)
