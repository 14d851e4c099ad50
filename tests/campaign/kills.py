"""Commands that are ended at random moments, in one folder: what was stored stays, as it was.

A command is one row of `VERBS`, with what it must not break.
"""

import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

from tests.campaign.place import BENCH, PATIENCE, bench, environment, lost, prepare, stored
from tests.campaign.tally import Tally
from tests.campaign.verbs import VERBS, Verb

SIGNALS = (signal.SIGKILL, signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
PROGRESS = 50  # kills for each line of progress


def try_kills(count: int, seed: int, first: int = 0, verbs: Sequence[Verb] = VERBS) -> list[Tally]:
    """End so many commands, one after the other in one folder; a tally for each verb.

    Their numbers begin with `first`. A number and the seed say which command and which signal.
    """
    tallies = {verb: Tally(verb.title) for verb in verbs}
    with heard_by_children(), tempfile.TemporaryDirectory(prefix="campaign-") as folder:
        place = Path(folder).resolve()
        prepare(place)
        for number in range(first, first + count):
            chance = random.Random(f"{seed} {number}")
            (verb,) = chance.choices(verbs, weights=[verb.share for verb in verbs])
            ending, problems = _tried(place, verb, chance)
            tallies[verb].endings[ending] += 1
            found = [f"seed {seed}, number {number}: {verb.name}: {p}" for p in problems]
            print(*found, sep="\n", end="\n" * bool(found), file=sys.stderr, flush=True)
            tallies[verb].failures += found
            if (number + 1 - first) % PROGRESS == 0:
                _print_progress(number + 1 - first, count, list(tallies.values()))
        tried = [verb for verb in verbs if tallies[verb].tried]
        for verb in tried:  # what killed ones left goes with the next one
            tallies[verb].failures += [f"{verb.name}: {p}" for p in _whole(place, verb)]
        if tried:
            tallies[tried[0]].failures += _left(place)
    return list(tallies.values())


def _tried(place: Path, verb: Verb, chance: random.Random) -> tuple[str, list[str]]:
    """End the command once; the process that had the signal, and what is wrong."""
    watch = verb.watch(place, chance)
    next(watch)
    before = stored(place)
    ending, problems = _killed(place, verb, chance)
    return ending, [*problems, *lost(place, before), *watch]


def _whole(place: Path, verb: Verb) -> list[str]:
    """What is wrong with the command where nobody ends it."""
    watch = verb.watch(place, random.Random(0))
    next(watch)
    before = stored(place)
    ended = bench(place, *verb.words)
    problems = []
    if ended.returncode not in verb.codes:
        problems.append(
            f"nobody ended it, and its code is {ended.returncode}: {ended.stderr[-300:]!r}"
        )
    return [*problems, *lost(place, before), *watch]


@contextmanager
def heard_by_children() -> Iterator[None]:
    """Let children hear the signals that this process ignores, as under `nohup` or in the background.

    A child inherits that a signal is ignored, and `bench` then ignores it, too. A child does not
    inherit a handler.
    """
    catchable = set(SIGNALS) - {signal.SIGKILL}
    ignored = [each for each in catchable if signal.getsignal(each) is signal.SIG_IGN]
    for each in ignored:
        signal.signal(each, lambda *_: None)
    try:
        yield
    finally:
        for each in ignored:
            signal.signal(each, signal.SIG_IGN)


def _print_progress(ended: int, count: int, tallies: Sequence[Tally]) -> None:
    tried = ", ".join(f"{tally.kind}: {tally.tried}" for tally in tallies if tally.tried)
    failures = sum(len(tally.failures) for tally in tallies)
    print(f"{ended} of {count} kills, {failures} failures ({tried})", file=sys.stderr, flush=True)


def _killed(place: Path, verb: Verb, chance: random.Random) -> tuple[str, list[str]]:
    """Start the command, send a signal to one of its processes, and look at what is left."""
    number = chance.choice(SIGNALS)
    with subprocess.Popen(
        [BENCH, *verb.words],
        cwd=place,
        env=environment(place),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        start_new_session=True,
    ) as command:
        time.sleep(chance.uniform(0, verb.seconds))
        tree = _tree(command.pid)
        target = chance.choice([command.pid, *(process.pid for process in tree)])
        with suppress(ProcessLookupError):
            os.kill(target, number)
        try:
            _, errors = command.communicate(timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            command.kill()
            return "not in time", [f"{_role(command.pid, target)}: {number}: did not end"]
    problems = [
        f"signal {number}: an error of ours: {file.read_text()[-600:]}"
        for file in _taken(place / "tmp", "bench-error-*")
    ]
    if b"Traceback" in errors and not _is_of_python(errors):
        problems.append(f"signal {number}: a traceback: {errors[-300:].decode(errors='replace')}")
    _, alive = psutil.wait_procs(_workers(place), timeout=PATIENCE)
    if alive:
        problems.append(f"{_role(command.pid, target)}: {number}: a process lives on")
        for process in alive:
            process.kill()
    return _role(command.pid, target), problems


def _is_of_python(errors: bytes) -> bool:
    """Whether the command was interrupted before any function of ours ran.

    Python itself starts in these first milliseconds, and shows a traceback of its own.
    """
    return b"KeyboardInterrupt" in errors and not re.search(rb"ondevice_bench.*, in main\n", errors)


def _taken(folder: Path, pattern: str) -> Iterator[Path]:
    """The files of a command, one after the other. They are removed, so that each counts once."""
    for file in folder.glob(pattern):
        yield file
        file.unlink()


def _role(command: int, target: int) -> str:
    return "to the command" if command == target else "to a process of it"


def _tree(pid: int) -> list[psutil.Process]:
    try:
        return psutil.Process(pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def _workers(place: Path) -> list[psutil.Process]:
    """The processes in the folder and below it, whoever's child they are."""
    return [
        process
        for process in psutil.process_iter(["cwd"])
        if process.info["cwd"] and Path(process.info["cwd"]).is_relative_to(place)
    ]


def _left(place: Path) -> list[str]:
    """The work files that stay behind."""
    left = [path.name for path in place.rglob("*.part")]
    left += [path.name for path in place.rglob("bench-*") if path.name != "bench-out"]
    left += [path.name for path in place.rglob(".bench-new-*")]
    # torch makes a folder of its own when it is loaded
    left += [p.name for p in (place / "tmp").iterdir() if not p.name.startswith("torchinductor_")]
    return [f"files stay behind: {sorted(set(left))[:5]}"] if left else []
