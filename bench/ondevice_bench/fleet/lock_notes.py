"""Notes of the boards that a command must give back. If it is killed, the next one finds its note.

Each command has a file, and locks it. The kernel releases this lock when the process ends.
"""

import contextlib
import fcntl
import json
import shlex
import tempfile
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from ondevice_bench.record.store import OUT

FOLDER = OUT / "fleet-locks"
_Unlock = Mapping[str, Sequence[str]]  # the command that gives a board back, by the board's name


@dataclass(frozen=True)
class LeftLock:
    """A board that an earlier command has not given back."""

    board: str
    unlock: str

    @property
    def line(self) -> str:
        """What the user must know of it."""
        return (
            f"{self.board}: an earlier command has not given it back; if nobody else has it now, "
            f"run `{self.unlock}`"
        )


class LockNote:
    """The note of this command. Without a place for it, there is none."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._file: IO[bytes] | None = None

    def keep(self, unlock: _Unlock) -> None:
        """Note these boards, and no others."""
        with contextlib.suppress(OSError):
            if self._file is None and unlock:
                self._folder.mkdir(parents=True, exist_ok=True)
                self._file = tempfile.NamedTemporaryFile(  # noqa: SIM115  # `close` closes it
                    dir=self._folder, suffix=".note", buffering=0, delete=False
                )
                fcntl.flock(self._file, fcntl.LOCK_EX)
            if self._file is not None:
                _write(self._file, unlock)

    def close(self) -> None:
        """Leave the note only if it names a board."""
        if self._file is not None:
            with self._file as file, contextlib.suppress(OSError):
                if not _read(file):
                    Path(file.name).unlink()


def left_locks(boards: Collection[str], folder: Path = FOLDER) -> list[LeftLock]:
    """Those of the boards that a command which has ended did not give back."""
    found = {name: words for _, unlock in _left(folder) for name, words in unlock.items()}
    return [LeftLock(name, shlex.join(found[name])) for name in boards if name in found]


def forget(boards: Collection[str], folder: Path) -> None:
    """Drop these boards from the notes of commands that have ended: we have them now."""
    for file, unlock in _left(folder):
        rest = {name: words for name, words in unlock.items() if name not in boards}
        with contextlib.suppress(OSError):
            if not rest:
                Path(file.name).unlink()
            elif len(rest) < len(unlock):
                _write(file, rest)


def _left(folder: Path) -> Iterator[tuple[IO[bytes], _Unlock]]:
    """The notes of commands that have ended, each locked while the caller has it."""
    for path in sorted(folder.glob("*.note")):
        with contextlib.suppress(OSError), path.open("r+b", buffering=0) as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # fails while the command lives
            if unlock := _read(file):
                yield file, unlock


def _read(file: IO[bytes]) -> _Unlock:
    file.seek(0)
    try:
        found = json.loads(file.readline())
    except (ValueError, RecursionError):
        return {}
    is_ours = isinstance(found, dict) and all(
        isinstance(words, list) and words and all(isinstance(word, str) for word in words)
        for words in found.values()
    )
    return found if is_ours else {}


def _write(file: IO[bytes], unlock: _Unlock) -> None:
    """Replace the first line. Whoever is killed here leaves the old line or the new one."""
    file.seek(0)
    file.write(f"{json.dumps({name: list(words) for name, words in unlock.items()})}\n".encode())
    file.truncate()
