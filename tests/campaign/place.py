"""The folder in which commands are ended: suites, results, a history, and boards without a network."""

import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from functools import cache
from pathlib import Path
from typing import Any

from ondevice_bench.record.model import Record, TaskKey
from ondevice_bench.record.origin import FLEET
from ondevice_bench.record.run_json import RunContent
from ondevice_bench.record.store import FILE_NAME, Store
from tests.campaign.results import store_of
from tests.git import git
from tests.remote.conftest import QUICK
from tests.site.conftest import content

BENCH = Path(sys.executable).parent / "bench"
PATIENCE = 600  # seconds until a command hangs. `bench ab` took over 180 at a load of 20
SUITE = """\
schema: 1
title: Killed
models: [{{mcunet: {{batch: 1}}}}]
methods: [vanilla, checkpoint]
seeds: [0, 1]
measure: [{measure}]
rounds: 1
"""
LAB = "schema: 1\ntitle: Lab\nmodels: [{mcunet: {batch: [1, 2, 3]}}]\nmethods: [vanilla]\nmeasure: trace\n"
WAYS = "schema: 1\ntitle: Ways\nmethods: [vanilla, lean, saved_bf16]\n"
# as `sshd` does: the last word is for a shell, in a folder of the board
SSH = '#!/bin/sh\nfor command; do :; done\ncd there && exec sh -c "$command"\n'
MANY = Path("many") / FILE_NAME
Key = tuple[str, str, TaskKey]


def prepare(place: Path) -> None:
    """A store with a run, suites, a search space, and a way to boards."""
    (place / "tmp").mkdir()
    (place / "killed.yaml").write_text(SUITE.format(measure="trace"))
    (place / "spawned.yaml").write_text(SUITE.format(measure="memory"))
    (place / "lab.yaml").write_text(LAB)
    (place / "ways.yaml").write_text(WAYS)
    for words in ("init -q .", "add killed.yaml", "commit -q -m suite"):
        git(*words.split(), cwd=place)
    _make_boards(place)
    bench(place, "run", "killed.yaml", "-q").check_returncode()


def _make_boards(place: Path) -> None:
    """Three boards. The processes on them are those of this machine, and their workers take no time."""
    _write_program(place / "bin" / "ssh", SSH)
    _write_program(place / "python", f'#!/bin/sh\nexec {" ".join(QUICK)} "$4"\n')
    boards: dict[str, dict[str, str]] = {}
    for number in range(1, 4):
        folder = place / "there" / f"board{number}"
        folder.mkdir(parents=True)
        rules = {"seconds": 0.2, "hello": {"unit": f"{number:012x}"}}
        (folder / "rules.json").write_text(json.dumps(rules))
        boards[folder.name] = {
            "address": f"pi@{folder.name}",
            "folder": str(folder),
            "python": str(place / "python"),
        }
    (place / "hosts.yaml").write_text(json.dumps({"schema": 1, "boards": boards}))
    lab = [{"host": name, "lock": "true", "unlock": "true"} for name in ("board1", "board2")]
    fleet = {"schema": 1, "boards": lab, "patience": 60}
    (place / "fleet.yaml").write_text(json.dumps(fleet))


def _write_program(path: Path, text: str) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)


@cache
def history() -> tuple[RunContent, ...]:
    """Runs of two boards, made by hand."""
    there: dict[str, Any] = {"profile": "pi5", "unit": "0a1b2c3d4e5f"}
    return (*(content(n) for n in range(12)), *(content(n, **there) for n in range(6)))


def make_history(place: Path) -> Path:
    """The store with this history, made once."""
    path = place / MANY
    if not path.exists():
        store_of(path, *history())
    return path


def bench(place: Path, *words: str) -> subprocess.CompletedProcess[bytes]:
    """Run a command that nobody ends."""
    return subprocess.run(
        [BENCH, *words],
        cwd=place,
        capture_output=True,
        env=environment(place),
        check=False,
        timeout=PATIENCE,
    )


def environment(place: Path) -> dict[str, str]:
    """The environment of the commands. The `ssh` that they find leads to the boards here."""
    path = os.pathsep.join([str(place / "bin"), os.environ["PATH"]])
    return {**os.environ, "TMPDIR": str(place / "tmp"), "PATH": path}


def stored(place: Path) -> dict[Key, Record]:
    """Every record of the stores below `bench-out`."""
    found: dict[Key, Record] = {}
    for path in _stores(place):
        with Store.open(path) as store:
            for run in store.runs():
                found |= {(path.parent.name, run.id, r.key): r for r in store.records(run.id)}
    return found


def lost(place: Path, before: dict[Key, Record]) -> list[str]:
    """What is wrong with the records now, if these were stored before."""
    now = stored(place)
    gone = [key for key, record in before.items() if now.get(key) != record]
    gone = [key for key in gone if not _was_repeated(place, key, before[key])]
    problems = [f"a record that was stored is lost or changed: {gone[0]}"] if gone else []
    return problems + [problem for path in _stores(place) if (problem := damage(path))]


def _was_repeated(place: Path, key: Key, record: Record) -> bool:
    """Whether another board of a fleet has measured it again: the store keeps how the first ended."""
    name, run, task = key
    with closing(sqlite3.connect(place / "bench-out" / name / FILE_NAME)) as raw:
        found = raw.execute(
            "SELECT 1 FROM earlier_attempts AS e JOIN runs ON runs.id = e.run WHERE origin = ? "
            "AND run = ? AND cell = ? AND pass = ? AND round = ? AND started = ?",
            (FLEET, run, task.cell, task.pass_name, task.round, record.started),
        )
        return found.fetchone() is not None


def _stores(place: Path) -> list[Path]:
    return [path for path in sorted(place.glob(f"bench-out/*/{FILE_NAME}")) if _has_tables(path)]


def _has_tables(path: Path) -> bool:
    """Whether the command that made the file was not ended before it made the tables."""
    with closing(sqlite3.connect(path)) as raw:
        return bool(raw.execute("PRAGMA user_version").fetchone()[0])


def damage(path: Path) -> str:
    """What SQLite finds damaged in a store."""
    with closing(sqlite3.connect(path)) as raw:
        found = raw.execute("PRAGMA integrity_check").fetchall()
    return "" if found == [("ok",)] else f"{path.parent.name}: the store is damaged: {found[:2]}"


def problem_of(read: Callable[[Path], object], path: Path) -> str:
    """Why a file cannot be read, or an empty text."""
    try:
        read(path)
    except Exception as error:
        return f"{path.name} cannot be read: {type(error).__name__}: {str(error)[:200]}"
    return ""
