"""The CPU time of child processes is our own, while they run and when they have ended."""

import subprocess
import sys

import pytest

from ondevice_bench.measure import descendants, interference

BURNS = """\
import time
while time.process_time() < 0.3:
    pass
print("done", flush=True)
input()
"""
WITH_A_CHILD = f"""\
import subprocess, sys
subprocess.run([sys.executable, "-c", {BURNS!r}])
"""


@pytest.mark.parametrize("program", [BURNS, WITH_A_CHILD])
def test_the_work_of_a_child_is_ours_while_it_runs_and_when_it_has_ended(program):
    before, own = interference.read(), descendants.cpu_seconds()
    child = subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert child.stdout.readline() == "done\n"
    running = descendants.cpu_seconds()
    child.communicate("\n")
    ended = descendants.cpu_seconds()
    assert 0.28 <= running - own <= ended - own + 0.02
    assert ended - running < 0.3
    assert interference.read().own - before.own >= 0.28


def test_without_children_nobody_reads_all_processes(monkeypatch):
    monkeypatch.setattr(descendants, "_are_there", lambda: False)
    monkeypatch.setattr(descendants.os, "listdir", lambda _: pytest.fail("read /proc"))
    assert descendants.cpu_seconds() >= 0
