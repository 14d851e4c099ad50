"""The reply of a worker through its pipe, or how the worker ended.

The parent sleeps in `poll` while a worker measures. It wakes when something arrives, and once a
second for the progress line. Each wait has a deadline, because the user's code may do anything.
"""

import contextlib
import errno
import os
import select
import signal
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from ondevice_bench.protocol.job import Reply
from ondevice_bench.running.hosts.host import Tick
from ondevice_bench.running.hosts.processes import MOST_REPLY_BYTES

TICK_SECONDS = 1.0
LATE_SECONDS = 5.0  # more time for a reply that has begun to arrive before the deadline
_VMSTAT = Path("/proc/vmstat")
_KILLED_LOADER = "is killed by signal: Killed"  # of a DataLoader's error
_ABORTED = "terminate called"
_OF_ABORTS = ("std::bad_alloc", "can't allocate memory")
_OF_STARTS = (os.strerror(errno.ENOMEM), "MemoryError")
_OF_EXITS = ("MemoryError", "libgomp: Out of memory")


@contextlib.contextmanager
def pipe() -> Iterator[tuple[int, int]]:
    """A pipe. The caller closes the write end. The read end is closed here."""
    read_end, write_end = os.pipe()
    try:
        yield read_end, write_end
    finally:
        os.close(read_end)


def receive(read_end: int, ended: int, deadline: float, tick: Tick) -> str | None:
    """Read one line, or what came until the worker ended; None if the deadline passed before.

    `ended` becomes readable when the worker ends, because a process that the worker has forked may
    keep the pipe open. If a part of the reply is there at the deadline, the rest gets more time.
    """
    poll = select.poll()
    poll.register(read_end, select.POLLIN)
    poll.register(ended, select.POLLIN)
    received, is_late = bytearray(), False
    while True:
        left = deadline - time.monotonic()
        ready = dict(poll.poll(max(0, min(left, TICK_SECONDS)) * 1000))
        if ended in ready:
            ready |= poll.poll(0)  # what it wrote after the first look at the pipe
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
            received += b"\n"  # too long: such a line is a reply that cannot be read
        if not chunk or received.endswith(b"\n"):
            return received.decode(errors="replace")


def judge(
    text: str | None, status: int, timeout: float, kills_before: int | None, printed: str = ""
) -> Reply:
    """The worker's own reply if it is complete, or else how the worker ended.

    `printed` is the end of what it printed.
    """
    if text is None:
        return Reply("timeout", reason=f"no result within {timeout:g} s")
    if text:
        try:
            return _of_children(Reply.from_text(text), kills_before)
        except ValueError as error:
            if text.endswith("\n") or status == 0:
                return Reply("failed", reason=f"the worker's reply cannot be read: {error}")
    if status == -signal.SIGKILL and _kernel_has_killed_since(kills_before):
        return Reply("oom", reason="killed by the kernel because memory ran out")
    if shortage := _shortage(status, printed):
        return Reply("oom", reason=f"memory ran out: {shortage}")
    if status == -signal.SIGKILL and kills_before is None:
        unknown = "this kernel does not say whether memory ran out"
        return Reply("failed", reason=f"killed by SIGKILL: {unknown}")
    if status < 0:
        return Reply("failed", reason=f"killed by {_signal_name(-status)}")
    return Reply("failed", reason=f"the worker ended with status {status} and no result")


def lost(reason: str, kills_before: int | None = None) -> Reply:
    """The reply of a worker that could not be started, or whose zygote is lost."""
    if _kernel_has_killed_since(kills_before):
        killed = "the kernel killed a process because memory ran out"
        return Reply("oom", reason=f"{killed}: {reason}")
    is_shortage = any(words in reason for words in _OF_STARTS)
    return Reply("oom" if is_shortage else "failed", reason=reason)


def _of_children(reply: Reply, kills_before: int | None) -> Reply:
    """The reply; out of memory if the kernel has killed a process that loads batches for it."""
    is_killed = reply.status == "failed" and _KILLED_LOADER in reply.traceback
    if not is_killed or not _kernel_has_killed_since(kills_before):
        return reply
    reason = "the kernel killed a process of the DataLoader because memory ran out"
    return replace(reply, status="oom", reason=reason)


def _shortage(status: int, printed: str) -> str:
    """The last words of a worker that memory ended without a reply; empty if others ended it."""
    lines = printed.strip().splitlines()
    if status == -signal.SIGABRT:  # of C++, from an error that nothing has caught
        start = next((n for n, line in enumerate(lines) if line.startswith(_ABORTED)), len(lines))
        lines = [line for line in lines[start:] if any(word in line for word in _OF_ABORTS)]
    elif status > 0:
        lines = [line for line in lines[-1:] if line.startswith(_OF_EXITS)]
    else:
        return ""
    return lines[0].strip()[:200] if lines else ""


def _kernel_has_killed_since(kills_before: int | None) -> bool:
    return kills_before is not None and oom_kills() != kills_before


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:  # real-time signals between the named ones
        return f"signal {number}"


def oom_kills() -> int | None:
    """How many processes the kernel has killed since boot because memory ran out."""
    try:
        lines = _VMSTAT.read_text().splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) for line in lines if line.startswith("oom_kill ")), None)
