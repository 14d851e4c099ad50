"""Commands that are ended at a random moment: nothing stored is lost, and nothing stays behind.

The process that is ended is the command, its zygote or a worker. The signal is one that a shell, a
terminal or an operating system sends. Then the next command must work.
"""

import os
import random
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from ondevice_bench.record.model import Record
from ondevice_bench.record.store import Store
from tests.campaign.tally import Tally

BENCH = Path(sys.executable).parent / "bench"
SUITE = """\
schema: 1
title: Killed
models: [{{mcunet: {{batch: 1}}}}]
methods: [vanilla, checkpoint]
seeds: [0, 1]
measure: [{measure}]
rounds: 1
"""
SIGNALS = (signal.SIGKILL, signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
PROGRESS = 50  # kills for each line of progress
PATIENCE = 600  # seconds until a command hangs. `bench ab` took over 180 at a load of 20
STORE = Path("bench-out/killed/results.sqlite")
Key = tuple[str, object]


@dataclass(frozen=True)
class Verb:
    """A command, its longest time before the signal, and how much of the campaign it takes."""

    name: str
    words: tuple[str, ...]
    seconds: float
    share: int = 1


VERBS = (
    Verb("run", ("run", "killed.yaml", "-q"), 9, 6),
    Verb("run, spawned workers", ("run", "spawned.yaml", "-q", "--out", "bench-out/killed"), 12, 3),
    Verb("import", ("import", "other.bundle"), 1.5, 3),
    Verb("export", ("export", "killed", "--out", "made.bundle"), 1.5, 2),
    Verb("baseline", ("baseline", "save", "made", "killed"), 1.5),
    Verb("report", ("report", "killed"), 3, 2),
    Verb("report as CSV", ("report", "killed", "--format", "csv", "--out", "made.csv"), 1.5),
    Verb("history", ("history", "killed"), 2),
    Verb("compare", ("compare", "killed", "killed"), 2),
    Verb("list", ("list", "runs"), 1.2),
    Verb("plan", ("plan", "killed.yaml"), 5, 2),
    Verb("fit", ("fit", "--model", "mcunet", "--method", "vanilla"), 6),
    Verb("show", ("show", "model", "mcunet"), 5),
    Verb("doctor", ("doctor",), 3),
    Verb("account", ("account", "--model", "mcunet", "--method", "wasi", "--fraction", "0.1"), 4),
    Verb("check-method", ("check-method", "checkpoint"), 6),
    Verb("ab", ("ab", "HEAD", "HEAD", "--suite", "killed.yaml", "--budget", "20s"), 25, 2),
)


def try_kills(count: int, seed: int, first: int = 0) -> list[Tally]:
    """End so many commands, one after the other in one folder; a tally for each verb.

    Their numbers begin with `first`. A number and the seed say which command and which signal.
    """
    tallies = {verb.name: Tally(f"`bench {verb.name}` is ended") for verb in VERBS}
    with heard_by_children(), tempfile.TemporaryDirectory(prefix="campaign-") as folder:
        place = Path(folder)
        (place / "tmp").mkdir()
        _prepare(place)
        kept = _stored(place / STORE)
        for number in range(first, first + count):
            chance = random.Random(f"{seed} {number}")
            (verb,) = chance.choices(VERBS, weights=[verb.share for verb in VERBS])
            if verb.name == "import" and chance.random() < 0.5:
                shutil.rmtree(place / STORE.parent)
                kept = {}
            ending, problems = _killed(place, verb, chance)
            now = _stored(place / STORE)
            if any(now.get(key) != record for key, record in kept.items()):
                problems.append("a record that was stored is lost or changed")
            if problem := _integrity(place / STORE):
                problems.append(problem)
            kept = now or kept
            tally = tallies[verb.name]
            tally.endings[ending] += 1
            found = [f"seed {seed}, number {number}: {verb.name}: {p}" for p in problems]
            print(*found, sep="\n", end="\n" * bool(found), file=sys.stderr, flush=True)
            tally.failures += found
            if (number + 1 - first) % PROGRESS == 0:
                _print_progress(number + 1 - first, count, tallies)
            if not kept:  # an import that ended before it began
                _bench(place, "import", "other.bundle")
                kept = _stored(place / STORE)
        if tallies["ab"].tried:  # what a killed one left goes with the next one
            _bench(place, "ab", "HEAD", "HEAD", "--suite", "killed.yaml", "--budget", "1s")
        tallies["run"].failures += _final_problems(place, kept)
    return list(tallies.values())


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


def _print_progress(ended: int, count: int, tallies: dict[str, Tally]) -> None:
    tried = ", ".join(f"{name}: {tally.tried}" for name, tally in tallies.items() if tally.tried)
    failures = sum(len(tally.failures) for tally in tallies.values())
    print(f"{ended} of {count} kills, {failures} failures ({tried})", file=sys.stderr, flush=True)


def _prepare(place: Path) -> None:
    """A store with a run, and its bundle."""
    (place / "killed.yaml").write_text(SUITE.format(measure="trace"))
    (place / "spawned.yaml").write_text(SUITE.format(measure="memory"))
    for words in ("init -q .", "add killed.yaml", "commit -q -m suite"):
        who = ("-c", "user.name=A", "-c", "user.email=a@example.org")
        subprocess.run(["git", *who, *words.split()], cwd=place, check=True)
    _bench(place, "run", "killed.yaml", "-q")
    _bench(place, "export", "killed", "--out", "other.bundle")


def _bench(place: Path, *words: str) -> None:
    subprocess.run([BENCH, *words], cwd=place, check=True, capture_output=True, env=_env(place))


def _env(place: Path) -> dict[str, str]:
    return {**os.environ, "TMPDIR": str(place / "tmp")}


def _killed(place: Path, verb: Verb, chance: random.Random) -> tuple[str, list[str]]:
    """Start the command, send a signal to one of its processes, and look at what is left."""
    number = chance.choice(SIGNALS)
    with subprocess.Popen(
        [BENCH, *verb.words],
        cwd=place,
        env=_env(place),
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
    """The processes of this package in the folder, whoever's child they are."""
    found = []
    for process in psutil.process_iter(["cmdline", "cwd"]):
        words = " ".join(process.info["cmdline"] or ())
        if process.info["cwd"] == str(place) and "ondevice_bench" in words:
            found.append(process)
    return found


def _stored(path: Path) -> dict[Key, Record]:
    if not path.exists() or not _has_tables(path):
        return {}
    with Store.open(path) as store:
        return {(run.id, r.key): r for run in store.runs() for r in store.records(run.id)}


def _has_tables(path: Path) -> bool:
    """Whether the command that made the file was not ended before it made the tables."""
    with closing(sqlite3.connect(path)) as raw:
        return bool(raw.execute("PRAGMA user_version").fetchone()[0])


def _integrity(path: Path) -> str:
    if not path.exists():
        return ""
    with closing(sqlite3.connect(path)) as raw:
        found = raw.execute("PRAGMA integrity_check").fetchall()
    return "" if found == [("ok",)] else f"the store is damaged: {found[:2]}"


def _final_problems(place: Path, kept: dict[Key, Record]) -> list[str]:
    """What is wrong after a last run that nobody ends."""
    ended = subprocess.run(
        [BENCH, "run", "killed.yaml", "-q"],
        cwd=place,
        capture_output=True,
        env=_env(place),
        check=False,
    )
    problems = []
    if ended.returncode not in (0, 3):  # 3: the worker of an earlier record was ended
        problems.append(f"the last run ended with {ended.returncode}: {ended.stderr[-300:]!r}")
    final = _stored(place / STORE)
    ok = {key: record for key, record in kept.items() if record.status == "ok"}
    if any(final.get(key) != record for key, record in ok.items()):
        problems.append("the last run lost or changed a record")
    left = [path.name for path in place.rglob("*.part")]
    left += [path.name for path in place.rglob("bench-*") if path.name != "bench-out"]
    if left:
        problems.append(f"files stay behind: {sorted(set(left))[:5]}")
    return problems
