"""Signals that stop a command: Ctrl-C, a request to end, a terminal that was closed."""

import signal
from typing import NoReturn

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def stop_cleanly_on_signals() -> None:
    """Let the first of these signals interrupt the command, so that it cleans up behind itself."""
    for number in SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:  # as under `nohup`
            signal.signal(number, _stop)


def _stop(*_: object) -> NoReturn:
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)  # what follows only cleans up
    raise KeyboardInterrupt
