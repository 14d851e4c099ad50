"""Signals that stop a command: Ctrl-C, a request to end, a terminal that was closed."""

import contextlib
import signal
import sys
from collections.abc import Iterator
from typing import NoReturn

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_AGAIN = 0.05  # seconds


@contextlib.contextmanager
def stopped_by_signals() -> Iterator[list[int]]:
    """Let the first of these signals interrupt the block, so that it cleans up behind itself.

    The list names the signal: some code takes the exception for a failure and goes on.
    """
    found: list[int] = []

    def stop(number: int, _: object) -> NoReturn:
        found.append(number)
        for each in SIGNALS:
            signal.signal(each, signal.SIG_IGN)  # what follows only cleans up
        raise KeyboardInterrupt

    def ignored(what: "sys.UnraisableHookArgs") -> None:
        """A place that cannot raise has lost the exception: raise it a moment later."""
        if not isinstance(what.exc_value, KeyboardInterrupt):
            sys.__unraisablehook__(what)
            return
        signal.signal(signal.SIGALRM, _interrupt)
        signal.setitimer(signal.ITIMER_REAL, _AGAIN)

    sys.unraisablehook = ignored
    for number in SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:  # as under `nohup`
            signal.signal(number, stop)
    yield found


def _interrupt(_: int, __: object) -> NoReturn:
    raise KeyboardInterrupt
