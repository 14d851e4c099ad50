"""The reply of a worker through its pipe, or how the worker ended.

The parent sleeps in `poll` while a worker measures; it wakes when something arrives, and once a
second to let a progress line move. Each wait has a deadline: the user's code may do anything.
"""

import contextlib
import os
import select
import signal
import time
from collections.abc import Iterator
from pathlib import Path

from ondevice_bench.protocol.job import Reply
from ondevice_bench.running.hosts.host import Tick
from ondevice_bench.running.hosts.processes import MOST_REPLY_BYTES

TICK_SECONDS = 1.0
LATE_SECONDS = 5.0  # for a reply that lies ready at the deadline to be complete
_VMSTAT = Path("/proc/vmstat")


@contextlib.contextmanager
def pipe() -> Iterator[tuple[int, int]]:
    """A pipe; the caller closes the write end, the read end is closed here."""
    read_end, write_end = os.pipe()
    try:
        yield read_end, write_end
    finally:
        os.close(read_end)


def receive(read_end: int, ended: int, deadline: float, tick: Tick) -> str | None:
    """Read one line, or what came until the worker ended; None where the deadline passed first.

    `ended` becomes readable when the worker ends: what it forked may hold the pipe open. What lies
    ready at the deadline is read, and gets a little time to be complete.
    """
    poll = select.poll()
    poll.register(read_end, select.POLLIN)
    poll.register(ended, select.POLLIN)
    received, is_late = bytearray(), False
    while True:
        left = deadline - time.monotonic()
        ready = dict(poll.poll(max(0, min(left, TICK_SECONDS)) * 1000))
        if ended in ready:
            ready |= poll.poll(0)  # what it wrote between the looks at the pipe and at its end
        if not ready or (left <= 0 and is_late):
            if left <= 0:
                return None
            tick()
            continue
        if left <= 0:
            deadline, is_late = time.monotonic() + LATE_SECONDS, True
        chunk = os.read(read_end, 1 << 20) if read_end in ready else b""
        received += chunk
        if len(received) > MOST_REPLY_BYTES:
            received += b"\n"  # a line that never ends is one that cannot be read
        if not chunk or received.endswith(b"\n"):
            return received.decode(errors="replace")


def judge(text: str | None, status: int, timeout: float, kills_before: int | None) -> Reply:
    """The worker's own reply where it is whole; otherwise how the worker ended."""
    if text is None:
        return Reply("timeout", reason=f"no result within {timeout:g} s")
    if text:
        try:
            return Reply.from_text(text)
        except ValueError as error:
            if text.endswith("\n") or status == 0:
                return Reply("failed", reason=f"the worker's reply cannot be read: {error}")
    if status == -signal.SIGKILL and kills_before is not None and oom_kills() != kills_before:
        return Reply("oom", reason="killed by the kernel because memory ran out")
    if status < 0:
        return Reply("failed", reason=f"killed by {_signal_name(-status)}")
    return Reply("failed", reason=f"the worker ended with status {status} and no result")


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:  # real-time signals between the named ones
        return f"signal {number}"


def oom_kills() -> int | None:
    """How many processes the kernel has killed for want of memory since boot."""
    try:
        lines = _VMSTAT.read_text().splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) for line in lines if line.startswith("oom_kill ")), None)
