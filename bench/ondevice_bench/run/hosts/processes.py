"""The end of a process that we started in a group of its own, and of what it started itself."""

import contextlib
import os
import select
import signal
import subprocess
from typing import Any

_LAST_SECONDS = 5.0  # a killed process ends at once, unless the kernel itself waits for a device


def ends_within(process: "subprocess.Popen[Any]", seconds: float) -> bool:
    """Whether the process ends in so many seconds; its number stays its own until `end`."""
    if process.returncode is not None:
        return True
    descriptor = os.pidfd_open(process.pid)
    try:
        poll = select.poll()
        poll.register(descriptor, select.POLLIN)
        return bool(poll.poll(max(0.0, seconds) * 1000))
    finally:
        os.close(descriptor)


def end(process: "subprocess.Popen[Any]", grace: float = 0.0) -> int:
    """Give the process so many seconds to end, then kill what is left of its group.

    The group is killed before the process is reaped: until then nobody else can have its number.
    """
    if process.returncode is None:
        ends_within(process, grace)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        with contextlib.suppress(subprocess.TimeoutExpired):
            return process.wait(_LAST_SECONDS)
    return -signal.SIGKILL if process.returncode is None else process.returncode
