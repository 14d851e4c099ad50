"""Two workers that take turns step by step, so that a disturbance of the machine slows both.

The workers signal to each other through two named pipes in a folder. When a worker ends early, its
ends of the pipes close and the pipes are removed. This wakes the other worker.
"""

import contextlib
import errno
import os
import select
import time
from collections.abc import Callable
from typing import Self, TypeVar

from ondevice_bench.protocol.turns import Turns

WARMUPS = 2  # warm-up steps of each side in a round
LOOK_SECONDS, MOST_LOOKS = 0.003, 100  # the duration and the number of looks for spinning threads
IDLE_SHARE = 0.1  # a process below this share of a processor has no spinning thread
OPEN_AGAIN_SECONDS = 0.005
ENDED_EARLY = "the other side ended before its turns were over"
Result = TypeVar("Result")


class OtherSideEnded(Exception):
    """The other worker has ended, so that no turns are possible."""


class Lockstep:
    """This worker's ends of both pipes."""

    def __init__(self, turns: Turns) -> None:
        self._is_first = turns.is_first
        with contextlib.ExitStack() as stack:
            self._hears = _open(turns.hears, os.O_RDONLY)
            stack.callback(os.close, self._hears)
            self._speaks = _open(turns.speaks, os.O_WRONLY)
            stack.callback(os.close, self._speaks)
            self._ends = stack.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._ends.close()

    def take(self, act: Callable[[], Result]) -> Result:
        """Act while the other worker waits, then wait for it. Return when both have acted."""
        if not self._is_first:
            self._wait_for_turn()
        result = act()
        _wait_until_idle()
        try:
            os.write(self._speaks, b".")
        except BrokenPipeError:
            raise OtherSideEnded(ENDED_EARLY) from None
        if self._is_first:
            self._wait_for_turn()
        return result

    def _wait_for_turn(self) -> None:
        poll = select.poll()
        poll.register(self._hears, select.POLLIN)
        poll.poll()
        if not os.read(self._hears, 1):
            raise OtherSideEnded(ENDED_EARLY)


def _wait_until_idle() -> None:
    """Wait until the threads of this process sleep. OpenMP's threads spin after their work."""
    for _ in range(MOST_LOOKS):
        before = time.process_time()
        time.sleep(LOOK_SECONDS)
        if time.process_time() - before < IDLE_SHARE * LOOK_SECONDS:
            return


def _open(path: str, flag: int) -> int:
    """Open a pipe. A writer waits until the other side has opened it or has ended."""
    while True:
        try:
            return os.open(path, flag | os.O_NONBLOCK)
        except FileNotFoundError:
            raise OtherSideEnded("the other side ended before its turns began") from None
        except OSError as error:
            if error.errno != errno.ENXIO:
                raise
            time.sleep(OPEN_AGAIN_SECONDS)
