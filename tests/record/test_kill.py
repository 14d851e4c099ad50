"""A writer that is killed at any moment: the file is sound and holds all that was committed."""

import os
import random
import signal
import sqlite3
import time

import pytest

from ondevice_bench.record.store import Store
from tests.record.conftest import CELL, make_record, make_run, planned


def write_for_ever(path, report):
    with Store.create(path) as store:
        if not store.runs():
            store.add_run(make_run(), planned(CELL))
        number = len(store.statuses("r1"))
        while True:
            number += 1
            store.add_record(make_record(number=number, samples={"a": [0.5] * 200}))
            os.write(report, b"%d\n" % number)


@pytest.mark.usefixtures("durable")
def test_kills_at_random_moments_lose_nothing_that_was_committed(tmp_path):
    path = tmp_path / "results.sqlite"
    moments = random.Random(7)
    told = 0
    for number in range(25):
        read, report = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(read)
            try:
                write_for_ever(path, report)
            finally:
                os._exit(1)
        os.close(report)
        # every second kill comes while records are stored, the others perhaps before
        printed = os.read(read, 1 << 16) if number % 2 else b""
        time.sleep(moments.uniform(0.0, 0.08))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        with open(read) as pipe:
            lines = (printed.decode() + pipe.read()).split()
        told = int(lines[-1]) if lines else told
    with sqlite3.connect(path) as raw:
        assert raw.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    raw.close()
    with Store.open(path) as store:
        numbers = [record.key.round for record in store.records("r1")]
    assert numbers == list(range(1, len(numbers) + 1))  # in order, each once, whole
    assert len(numbers) >= told >= 12
