"""Two workers that step in turn, so that whatever disturbs the machine meets both.

Each hears the other's word through a pipe of its own that lies in a folder. Whoever ends early, for
whatever reason, wakes the other: its end of the pipe closes, and the pipes' names vanish.
"""

import contextlib
import errno
import os
import select
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Self, TypeVar

WARMUPS = 2  # of each side in a round
FEWEST, MOST, SECONDS = 7, 20, 1.0  # steps of each side in a round: as many as take so long
LOOK, LOOKS = 0.003, 100  # seconds between two looks whether threads still spin, and how many
SPINS = 0.1  # of a processor: more than that is no idle process
LOOK_AGAIN = 0.005
EARLY = "the other side ended before its turns were over"
Done = TypeVar("Done")


class OtherSideEnded(Exception):
    """There is nobody to take turns with."""


@dataclass(frozen=True)
class Turns:
    """A worker's part: where it hears and speaks, whether it begins, how many steps it takes."""

    hears: str
    speaks: str
    is_first: bool
    steps: int = FEWEST


class Alternation:
    """A worker's part in it."""

    def __init__(self, turns: Turns) -> None:
        self._is_first = turns.is_first
        with contextlib.ExitStack() as stack:
            self._hears = _opened(turns.hears, os.O_RDONLY)
            stack.callback(os.close, self._hears)
            self._speaks = _opened(turns.speaks, os.O_WRONLY)
            stack.callback(os.close, self._speaks)
            self._ends = stack.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._ends.close()

    def take(self, act: Callable[[], Done]) -> Done:
        """Act once while the other waits; returns when both have acted."""
        if not self._is_first:
            self._hear()
        done = act()
        _settle()
        try:
            os.write(self._speaks, b".")
        except BrokenPipeError:
            raise OtherSideEnded(EARLY) from None
        if self._is_first:
            self._hear()
        return done

    def _hear(self) -> None:
        poll = select.poll()
        poll.register(self._hears, select.POLLIN)
        poll.poll()
        if not os.read(self._hears, 1):
            raise OtherSideEnded(EARLY)


def _settle() -> None:
    """Wait until our threads sleep: OpenMP's go on spinning after their last work."""
    for _ in range(LOOKS):
        before = time.process_time()
        time.sleep(LOOK)
        if time.process_time() - before < SPINS * LOOK:
            return


def _opened(path: str, way: int) -> int:
    """To write, wait until the other side listens, or is no more."""
    while True:
        try:
            return os.open(path, way | os.O_NONBLOCK)
        except FileNotFoundError:
            raise OtherSideEnded("the other side ended before its turns began") from None
        except OSError as error:
            if error.errno != errno.ENXIO:
                raise
            time.sleep(LOOK_AGAIN)


def steps_for(seconds: float | None) -> int:
    """How many steps of such length make a round; the fewest while nothing is known."""
    return FEWEST if seconds is None else max(FEWEST, min(MOST, int(SECONDS / seconds)))


@contextlib.contextmanager
def turns(steps: int = FEWEST) -> Iterator[tuple[Turns, Turns]]:
    """The parts of two workers, first and second."""
    with tempfile.TemporaryDirectory(prefix="bench-turns-") as folder:
        one, other = (str(Path(folder) / name) for name in ("one", "other"))
        os.mkfifo(one)
        os.mkfifo(other)
        yield Turns(one, other, True, steps), Turns(other, one, False, steps)


def together(
    parts: tuple[Turns, Turns], one: Callable[[], Done], other: Callable[[], Done]
) -> tuple[Done, Done]:
    """Run both, the other in a thread of its own; when either ends, the pipes vanish."""

    def vanish(_: Future[Done] | None = None) -> None:
        for path in (parts[0].hears, parts[0].speaks):
            Path(path).unlink(missing_ok=True)

    with ThreadPoolExecutor(1) as pool:
        beside = pool.submit(other)
        beside.add_done_callback(vanish)
        try:
            here = one()
        finally:
            vanish()
        return here, beside.result()
