"""One desk at a time measures on a board, and a desk that lost its connection may come again.

The kernel releases the lock when its process ends. Its file names the process and the desk's key.
"""

import contextlib
import fcntl
import os
import select
import signal
from collections.abc import Iterator
from pathlib import Path

NAME = "in-use"
_SECONDS = 10.0  # for a killed process to end
_LONGEST = 500


class InUse(Exception):
    """Another desk measures here; the text says which."""


@contextlib.contextmanager
def in_use(folder: Path, key: str, desk: str) -> Iterator[None]:
    """Hold the board. A process that this desk left there, with the same key, is killed."""
    with (folder / NAME).open("a+b") as file:
        for _ in range(2):
            with contextlib.suppress(BlockingIOError):
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            file.seek(0)
            number, its_key, its_desk = _holder(file.read(_LONGEST))
            if its_key != key or not number:
                raise InUse(f"{its_desk or 'another desk'} uses this board now")
            _kill(number)
        else:
            raise InUse("an earlier process of this desk does not end")
        file.seek(0)
        file.truncate()
        file.write(f"{os.getpid()}\n{key}\n{desk}\n".encode(errors="replace")[:_LONGEST])
        file.flush()
        yield
        file.truncate(0)


def _holder(content: bytes) -> tuple[int, str, str]:
    number, key, desk, *_ = [*content.decode(errors="replace").splitlines(), "", "", ""]
    return (int(number) if number.isdecimal() else 0), key, desk


def _kill(number: int) -> None:
    """Kill the process and wait for its end. Its workers end with it."""
    with contextlib.suppress(ProcessLookupError):
        process = os.pidfd_open(number)
        try:
            signal.pidfd_send_signal(process, signal.SIGKILL)
            poll = select.poll()
            poll.register(process, select.POLLIN)
            poll.poll(_SECONDS * 1000)
        finally:
            os.close(process)
