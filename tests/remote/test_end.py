"""Whatever ends a command here ends everything on the board, and leaves no file there."""

import json
import os
import signal
import subprocess
import sys
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


READING = """
from ondevice_bench.remote import far_side
def read_frame(read):
    read(1)
    raise {raised}
far_side.read_frame = read_frame
far_side.main()
"""


@pytest.mark.parametrize(
    ("raised", "says"),
    [
        ("MemoryError", "the board has too little memory to read a message of the desk"),
        ("far_side.BadFrame('it is odd')", "the board cannot read the desk: it is odd"),
        ("EOFError", ""),
    ],
)
def test_a_board_that_can_read_nothing_more_ends_at_once_and_says_why(tmp_path, raised, says):
    words = [sys.executable, "-P", "-c", READING.format(raised=raised), str(tmp_path)]
    with subprocess.Popen(
        words, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    ) as process:
        process.stdin.write("x")
        process.stdin.flush()  # the pipe stays open: only the fault ends the board
        errors = process.stderr.read()
        assert process.wait(timeout=60) == (1 if says else 0)
    assert errors.splitlines() == ([says] if says else [])


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
