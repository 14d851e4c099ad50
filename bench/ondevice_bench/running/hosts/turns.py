"""Two workers of this machine in turn: the pipes between them, and a thread for the second."""

import contextlib
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from os import mkfifo
from pathlib import Path

from ondevice_bench.protocol.turns import Turns
from ondevice_bench.running.hosts.host import Outcome, Tick, TurnTaking
from ondevice_bench.running.work_folder import work_folder


class GivenUp(Exception):
    """The round was interrupted: nobody waits for this side's outcome."""


class PipedTurns(TurnTaking):
    """Two workers that hear each other through named pipes."""

    def __init__(self, parts: tuple[Turns, Turns]) -> None:
        self.parts = parts

    def run(
        self, one: Callable[[], Outcome], other: Callable[[Tick], Outcome]
    ) -> tuple[Outcome, Outcome]:
        """Run both, the other in a thread of its own; remove the pipes when either ends."""
        given_up = threading.Event()

        def tick() -> None:
            if given_up.is_set():
                raise GivenUp

        with ThreadPoolExecutor(1) as pool:
            beside = pool.submit(other, tick)
            beside.add_done_callback(self._remove_pipes)
            try:
                try:
                    first = one()
                finally:
                    self._remove_pipes()
                return first, beside.result()
            except BaseException:
                given_up.set()
                raise

    def _remove_pipes(self, _: Future[Outcome] | None = None) -> None:
        for path in (self.parts[0].hears, self.parts[0].speaks):
            Path(path).unlink(missing_ok=True)


@contextlib.contextmanager
def piped_turns(steps: int) -> Iterator[PipedTurns]:
    """Make the pipes in a folder of their own."""
    with work_folder("turns") as folder:
        one, other = (str(folder / name) for name in ("one", "other"))
        mkfifo(one)
        mkfifo(other)
        yield PipedTurns((Turns(one, other, True, steps), Turns(other, one, False, steps)))
