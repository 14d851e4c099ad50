"""A run that is killed again and again, and goes on each time."""

import random
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import psutil
import pytest

from ondevice_bench.record.store import Store

BENCH = Path(sys.executable).parent / "bench"
PROCESSES = 6
SUITE = f"""\
schema: 1
title: Killed
models: [{{vit_b_32: {{batch: 1, depth: 1, image_size: 32}}}}]
methods: [vanilla]
seeds: {list(range(PROCESSES))}
measure: [trace]
"""


def stored(path):
    """What a store holds now, by run and process; nothing where there is no store yet."""
    if not path.exists() or path.stat().st_size == 0:
        return {}
    with Store.open(path) as store:
        return {
            (run.id, record.key): record for run in store.runs() for record in store.records(run.id)
        }


def count(path):
    """How many records a store has now, while a run writes to it."""
    if not path.exists():
        return 0
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as store:
        try:
            return store.execute("SELECT count(*) FROM records").fetchone()[0]
        except sqlite3.OperationalError:  # the table does not exist yet
            return 0


def workers(folder):
    """The workers that were started in the folder and are alive, whoever's child they are."""
    return [
        process
        for process in psutil.process_iter(["cmdline", "cwd"])
        if process.info["cwd"] == str(folder)
        and {"ondevice_bench.worker.worker", "ondevice_bench.worker.zygote"}
        & set(process.info["cmdline"] or ())
    ]


@pytest.mark.parametrize("kills", [2, pytest.param(20, marks=pytest.mark.nightly)])
def test_kills_at_random_moments_lose_at_most_the_process_in_flight(
    bench, forking_bench, workplace, kills
):
    command = (BENCH,) if kills > 2 else forking_bench
    (workplace / "killed.yaml").write_text(SUITE)
    path = workplace / "bench-out" / "killed" / "results.sqlite"
    moments = random.Random(16)
    kept = {}
    cut_short = 0
    for number in range(kills):
        with subprocess.Popen(
            [*command, "run", "killed.yaml", "-q"], cwd=workplace, stderr=subprocess.PIPE
        ) as run:
            if number % 2:  # among the processes
                before = count(path)
                while count(path) == before and run.poll() is None:
                    time.sleep(0.05)
                time.sleep(moments.uniform(0.0, 1.0))
            else:  # before the store exists, between its first writes, or later
                time.sleep(moments.uniform(0.1, 4.0))
            run.kill()
            assert b"Traceback" not in run.stderr.read()
        now = stored(path)
        for key, record in kept.items():
            assert now[key] == record, "what was stored has changed"
        cut_short += len(now) % PROCESSES > 0
        kept = now
        _, alive = psutil.wait_procs(workers(workplace), timeout=20)
        assert not alive, "a worker outlived its run"
    assert cut_short, "no kill fell into a run that had begun to measure"

    assert bench("run", "killed.yaml", "-q").code == 0
    final = stored(path)
    assert {record.status for record in final.values()} == {"ok"}
    for key, record in kept.items():
        assert final[key] == record
    with Store.open(path) as store:
        for run in store.runs():  # a fast machine may complete one before the last kill
            assert run.finished
            cells = [key.cell for run_id, key in final if run_id == run.id]
            assert len(cells) == PROCESSES == len(set(cells))
    raw = sqlite3.connect(path)
    assert raw.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    assert raw.execute("SELECT count(*) FROM earlier_attempts").fetchone() == (0,)
    raw.close()
    assert sorted(p.name for p in path.parent.iterdir()) == [".lock", "report.html", path.name]


@pytest.fixture(autouse=True)
def no_leftovers(workplace):
    yield
    for process in workers(workplace):
        process.kill()
