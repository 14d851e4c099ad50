"""The end of a process that we started in a group of its own, and of what it started itself."""

import contextlib
import math
import os
import select
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

KEPT_OUTPUT = 1 << 16
MOST_REPLY_BYTES = 1 << 26
_LAST_SECONDS = 5.0  # a killed process ends at once, unless the kernel itself waits for a device


def ends_within(process: "subprocess.Popen[Any]", seconds: float) -> bool:
    """Whether the process ends in this time. No other process has its number until `end`."""
    if process.returncode is not None:
        return True
    descriptor = os.pidfd_open(process.pid)
    try:
        poll = select.poll()
        poll.register(descriptor, select.POLLIN)
        return bool(poll.poll(None if seconds == math.inf else max(0.0, seconds) * 1000))
    finally:
        os.close(descriptor)


def end(process: "subprocess.Popen[Any]", grace: float = 0.0) -> int:
    """Give the process `grace` seconds to end, then kill what is left of its group.

    The group is killed before the process is reaped: until then no other can have its number. If
    there is no descriptor left to wait with, it gets no time.
    """
    if process.returncode is None:
        with contextlib.suppress(OSError):
            ends_within(process, grace)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        with contextlib.suppress(subprocess.TimeoutExpired):
            return process.wait(_LAST_SECONDS)
    return -signal.SIGKILL if process.returncode is None else process.returncode


@dataclass(frozen=True)
class Finished:
    """How a command ended, and the end of what it printed."""

    status: int
    out: str
    err: str

    @property
    def last_line(self) -> str:
        """The line that says most about a failure."""
        lines = (self.err.strip() or self.out.strip()).splitlines()
        return [*lines[-1:], "it printed nothing"][0]


def finished(
    words: Sequence[str], *, cwd: Path | None = None, env: Mapping[str, str] | None = None
) -> Finished:
    """Run a command to its end. Nothing that it started outlives this call."""
    with (
        text_file("") as nothing,
        tempfile.TemporaryFile() as out,
        tempfile.TemporaryFile() as err,
    ):
        process = subprocess.Popen(
            words, cwd=cwd, env=env, stdin=nothing, stdout=out, stderr=err, start_new_session=True
        )
        try:
            ends_within(process, math.inf)
        finally:
            status = end(process)
        return Finished(status, tail(out, MOST_REPLY_BYTES), tail(err))


@contextlib.contextmanager
def text_file(text: str) -> Iterator[IO[bytes]]:
    """A file without a name to read from: unlike a pipe, it waits for no reader."""
    with tempfile.TemporaryFile() as file:
        file.write(text.encode())
        file.seek(0)
        yield file


def tail(output: IO[bytes], most: int = KEPT_OUTPUT) -> str:
    """The end of what a process has printed."""
    size = output.seek(0, os.SEEK_END)
    output.seek(max(0, size - most))
    return output.read().decode(errors="replace")
