"""Signals that stop a command: Ctrl-C, a request to end, a terminal that was closed."""

import contextlib
import os
import signal
import sys
from collections.abc import Iterator
from typing import NoReturn

from ondevice_bench.errors import ExitCode

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_AGAIN = 0.05  # seconds
PATIENCE = 60.0  # seconds that a command may take to clean up


@contextlib.contextmanager
def stopped_by_signals() -> Iterator[list[int]]:
    """Let the first of these signals interrupt the block, so that it cleans up behind itself.

    The list names the signal: some code takes the exception for a failure and goes on. A command
    that has not stopped in time is ended at once. What it has stored is whole: its workers end with
    it, and the next command removes its work files.
    """
    found: list[int] = []

    def stop(number: int, _: object) -> NoReturn:
        found.append(number)
        for each in SIGNALS:
            signal.signal(each, signal.SIG_IGN)  # what follows only cleans up
        _interrupt()

    def ignored(what: "sys.UnraisableHookArgs") -> None:
        """The exception was lost in code that cannot raise: raise it a moment later."""
        if not isinstance(what.exc_value, KeyboardInterrupt):
            sys.__unraisablehook__(what)
            return
        signal.signal(signal.SIGALRM, _interrupt)
        signal.setitimer(signal.ITIMER_REAL, _AGAIN)

    sys.unraisablehook = ignored
    for number in SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:  # as under `nohup`
            signal.signal(number, stop)
    try:
        yield found
    finally:
        if found:
            signal.setitimer(signal.ITIMER_REAL, 0)


def _interrupt(*_: object) -> NoReturn:
    signal.signal(signal.SIGALRM, _end)
    signal.setitimer(signal.ITIMER_REAL, PATIENCE)
    raise KeyboardInterrupt


def _end(*_: object) -> None:
    os.write(2, f"bench: interrupted; it did not stop in {PATIENCE:g} s and was ended\n".encode())
    os._exit(int(ExitCode.INTERRUPTED))
