"""Runs the commands of a lab that lock a board for us, and give it back."""

import contextlib
import os
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from typing import IO

from ondevice_bench.fleet.fleet_file import FleetBoard
from ondevice_bench.running.hosts.processes import end, ends_within, tail

LOCK_SECONDS = 120.0
LOOK_SECONDS = 0.2  # between two looks at what it prints
MOST_OUTPUT = 1 << 20


class NotLocked(Exception):
    """The board could not be locked. The text says why."""


@contextlib.contextmanager
def locked(board: FleetBoard, tell: Callable[[str], None]) -> Iterator[None]:
    """Hold the lock of the board."""
    if board.lock and (problem := _problem(board.lock)):
        raise NotLocked(f"its lock command {problem}")
    try:
        yield
    finally:
        if board.unlock and (problem := _problem(board.unlock)):
            tell(f"{board.name}: its unlock command {problem}")


def _problem(words: Sequence[str]) -> str:
    """How the command failed; empty if it did not.

    Its output goes into a file. A pipe would never end if it leaves a process to hold the lock.
    """
    with tempfile.TemporaryFile() as printed:
        try:
            process = subprocess.Popen(
                words,
                stdin=subprocess.DEVNULL,
                stdout=printed,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        except OSError as error:
            return f"cannot start: {words[0]}: {error.strerror}"
        try:
            too_much = _waited(process, printed)
        except BaseException:
            end(process)
            raise
        if too_much:
            end(process)
            return too_much
        status = process.wait()
        lines = tail(printed, 2000).strip().splitlines()
    return f"ended with {status}: {(lines or ['it printed nothing'])[-1][:300]}" if status else ""


def _waited(process: "subprocess.Popen[bytes]", printed: IO[bytes]) -> str:
    """Wait for the end of the command. The reason if it must be stopped before."""
    deadline = time.monotonic() + LOCK_SECONDS
    while not ends_within(process, LOOK_SECONDS):
        if time.monotonic() > deadline:
            return f"did not end within {LOCK_SECONDS:g} s"
        if os.fstat(printed.fileno()).st_size > MOST_OUTPUT:
            return "prints without end"
    return ""
