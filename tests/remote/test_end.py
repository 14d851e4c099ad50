"""Whatever ends a command here ends everything on the board, and leaves no file there."""

import json
import os
import signal
import subprocess
import time

import pytest

from tests.conftest import BENCH
from tests.remote.test_over_ssh import QUICK, pids_with


def processes_there(folder) -> list[int]:
    """The measuring sides of this board that run."""
    return pids_with("-P", str(folder))


def wait_until(condition, seconds=60.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "nothing happened"
        time.sleep(0.05)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_the_end_of_the_command_is_the_end_there(
    suite_file, server, hosts_file, workplace, quick_python, number
):
    there = workplace / "there"
    there.mkdir()
    (there / "rules.json").write_text(json.dumps({"seconds": 60}))
    hosts_file(server, there, quick_python)
    suite_file(QUICK)
    words = [BENCH, "run", "tiny", "--on", "board1"]
    process = subprocess.Popen(words, stderr=subprocess.PIPE, text=True, start_new_session=True)
    wait_until((there / "jobs").exists)
    assert processes_there(there)
    os.kill(process.pid, number)
    _, errors = process.communicate(timeout=60)
    if number != signal.SIGKILL:
        assert process.returncode == 130
        assert errors.splitlines()[-1].startswith("bench: interrupted")
    wait_until(lambda: not processes_there(there))
    wait_until(lambda: not [path for path in there.iterdir() if path.is_dir()])
