"""Commands of the lab that lock a board for us, and give it back."""

import contextlib
import subprocess
from collections.abc import Callable, Iterator, Sequence

from ondevice_bench.fleet.fleet_file import FleetBoard

LOCK_SECONDS = 120.0


class NotLocked(Exception):
    """The board cannot be had; the text says why."""


@contextlib.contextmanager
def locked(board: FleetBoard, tell: Callable[[str], None]) -> Iterator[None]:
    """Hold the lock of the board."""
    if board.lock and (problem := _problem(board.lock)):
        raise NotLocked(f"its lock command {problem}")
    try:
        yield
    finally:
        if board.unlock and (problem := _problem(board.unlock)):
            tell(f"{board.name}: its unlock command {problem}")


def _problem(words: Sequence[str]) -> str:
    """How the command failed; empty if it did not."""
    try:
        ended = subprocess.run(
            words,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=LOCK_SECONDS,
            check=False,
            start_new_session=True,
        )
    except OSError as error:
        return f"cannot start: {words[0]}: {error.strerror}"
    except subprocess.TimeoutExpired:
        return f"did not end within {LOCK_SECONDS:g} s"
    if ended.returncode == 0:
        return ""
    lines = ended.stdout[-2000:].decode(errors="replace").strip().splitlines()
    return f"ended with {ended.returncode}: {(lines or ['it printed nothing'])[-1][:300]}"
