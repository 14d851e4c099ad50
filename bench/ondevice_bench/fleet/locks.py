"""Runs the commands of a lab that lock boards for us, and give them back."""

import contextlib
import math
import os
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path
from typing import IO

from ondevice_bench.fleet.fleet_file import FleetBoard
from ondevice_bench.fleet.lock_notes import FOLDER, LockNote, forget, left_locks
from ondevice_bench.running.hosts.processes import end, ends_within, tail

LOCK_SECONDS = 120.0  # for one command
AT_ONCE = 64  # commands that run side by side
TELL_SECONDS = 5.0  # then a line says which commands are awaited
LOOK_SECONDS = 0.2  # between two looks at what a command prints
MOST_OUTPUT = 1 << 20
MOST_NAMED = 5  # boards in one line

Tell = Callable[[str], None]


@contextlib.contextmanager
def locked(
    boards: Sequence[FleetBoard], tell: Tell, notes: Path = FOLDER
) -> Iterator[Mapping[str, str]]:
    """Hold the locks of the boards. Yields why a board could not be locked, by its name.

    The commands of all boards run side by side: a lock that somebody else has delays no other.
    A note names the boards until they are given back.
    """
    problems: dict[str, str] = {}
    ends: dict[str, str] = {}
    unlock = {each.name: each.unlock for each in boards if each.unlock}
    with contextlib.closing(LockNote(notes)) as note:
        note.keep(unlock)
        try:
            _run("lock", {each.name: each.lock for each in boards if each.lock}, tell, problems)
            refused = {each.name: text for each in boards if (text := problems.get(each.name))}
            note.keep({name: words for name, words in unlock.items() if name not in refused})
            forget({each.name for each in boards} - refused.keys(), notes)
            for left in left_locks(refused, notes):
                tell(left.line)
            yield refused
        finally:
            held = [each for each in boards if not each.lock or problems.get(each.name) == ""]
            _run("unlock", {each.name: each.unlock for each in held if each.unlock}, tell, ends)
            for each in held:
                if problem := ends.get(each.name):
                    tell(f"{each.name}: {problem}")
            note.keep({name: unlock[name] for name, problem in ends.items() if problem})


def _run(
    what: str, commands: Mapping[str, Sequence[str]], tell: Tell, problems: dict[str, str]
) -> None:
    """Run the command of each board. `problems` gets how each one failed, empty if it did not."""
    stop = threading.Event()

    def run(name: str) -> None:
        problem = _problem(commands[name], stop)
        problems[name] = f"its {what} command {problem}" if problem else ""

    with ThreadPoolExecutor(AT_ONCE) as pool:
        waiting = {pool.submit(run, name): name for name in commands}
        try:
            late = wait(waiting, TELL_SECONDS).not_done
            if late:
                names = [name for each, name in waiting.items() if each in late]
                more = [f"{len(names) - MOST_NAMED} more"] if len(names) > MOST_NAMED else []
                most = LOCK_SECONDS * math.ceil(len(commands) / AT_ONCE)
                tell(
                    f"waiting for the {what} command of {', '.join(names[:MOST_NAMED] + more)}, "
                    f"at most {most:g} s"
                )
            for each in waiting:
                each.result()
        except BaseException:
            stop.set()  # the pool waits for its threads
            raise


def _problem(words: Sequence[str], stop: threading.Event) -> str:
    """How the command failed; empty if it did not.

    Its output goes into a file. A pipe would never end if it leaves a process to hold the lock.
    """
    if stop.is_set():
        return "was not started"
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
            too_much = _waited(process, printed, stop)
        except BaseException:
            end(process)
            raise
        if too_much:
            end(process)
            return too_much
        status = process.wait()
        lines = tail(printed, 2000).strip().splitlines()
    return f"ended with {status}: {(lines or ['it printed nothing'])[-1][:300]}" if status else ""


def _waited(process: "subprocess.Popen[bytes]", printed: IO[bytes], stop: threading.Event) -> str:
    """Wait for the end of the command. The reason if it must be stopped before."""
    deadline = time.monotonic() + LOCK_SECONDS
    while not ends_within(process, LOOK_SECONDS):
        if stop.is_set():
            return "was stopped"
        if time.monotonic() > deadline:
            return f"did not end within {LOCK_SECONDS:g} s"
        if os.fstat(printed.fileno()).st_size > MOST_OUTPUT:
            return "prints without end"
    return ""
