"""How a command ends when a signal comes at the worst moment."""

import errno
import gc
import os
import signal
import subprocess
import sys

import pytest

from ondevice_bench.cli import entry
from ondevice_bench.cli.arguments import command_line
from ondevice_bench.cli.stopping import SIGNALS
from ondevice_bench.errors import BadInput, BenchError, ExitCode


class Stopped(BenchError):
    exit_code = ExitCode.INTERRUPTED


@pytest.fixture(autouse=True)
def process_as_before(monkeypatch):
    monkeypatch.setattr(sys, "unraisablehook", sys.unraisablehook)
    monkeypatch.setattr(entry, "COLLECT", gc.get_threshold())
    monkeypatch.setattr(sys, "argv", ["bench", "list"])
    before = [(number, signal.getsignal(number)) for number in SIGNALS]
    yield
    for number, handler in before:
        signal.signal(number, handler)


def ended(capsys):
    with pytest.raises(SystemExit) as ending:
        entry.run_and_exit()
    return ending.value.code, capsys.readouterr().err


@pytest.mark.parametrize("error", [RuntimeError("in __set_name__"), BadInput("x: damaged")])
def test_code_that_takes_an_interrupt_for_its_own_failure(monkeypatch, capsys, error):
    """Python 3.11 wraps it while a class is made, and SQLite loses it in a callback."""

    def invoke(_):
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGTERM)
        raise error

    monkeypatch.setattr(entry, "_invoke", invoke)
    assert ended(capsys) == (130, "bench: interrupted\n")


def test_a_verb_says_how_far_it_came(monkeypatch, capsys):
    def invoke(_):
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
        raise Stopped("3 of 4 are stored")

    monkeypatch.setattr(entry, "_invoke", invoke)
    assert ended(capsys) == (130, "bench: 3 of 4 are stored\n")


def test_without_a_signal_an_error_is_what_it_is(monkeypatch, capsys):
    def invoke(_):
        raise BadInput("x: damaged")

    monkeypatch.setattr(entry, "_invoke", invoke)
    assert ended(capsys) == (2, "bench: x: damaged\n")


def test_a_command_without_memory_says_so(monkeypatch, capsys):
    def invoke(_):
        raise MemoryError

    monkeypatch.setattr(entry, "_invoke", invoke)
    code, said = ended(capsys)
    assert code == 2
    assert said.startswith("bench: memory ran out: ")


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (errno.ENAMETOOLONG, "a/b: File name too long"),
        (errno.EMFILE, "a/b: Too many open files: raise the limit (`ulimit -n`)"),
        (errno.EIO, "a/b: Input/output error"),
        (errno.EACCES, "a/b: Permission denied"),
    ],
)
def test_an_error_of_a_path_or_a_limit_is_one_line(monkeypatch, capsys, number, said):
    def invoke(_):
        raise OSError(number, os.strerror(number), "a/b")

    monkeypatch.setattr(entry, "_invoke", invoke)
    assert ended(capsys) == (2, f"bench: {said}\n")


def test_a_command_in_a_folder_that_was_removed_says_so(monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)
    tmp_path.rmdir()
    monkeypatch.setattr(entry, "_invoke", lambda _: os.getcwd())
    assert ended(capsys) == (2, "bench: the working directory was removed\n")


def test_the_command_that_is_stored_has_no_debug(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["/bin/bench", "--debug", "run", "a b"])
    assert command_line() == "bench run 'a b'"


ENDLESS = """
import contextlib, os, signal, time
from ondevice_bench.cli import stopping

stopping.PATIENCE = 0.2
with stopping.stopped_by_signals():
    with contextlib.suppress(KeyboardInterrupt):
        os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(60)
"""


def test_a_command_that_goes_on_after_a_signal_is_ended():
    ended = subprocess.run(
        [sys.executable, "-c", ENDLESS], capture_output=True, text=True, timeout=30, check=False
    )
    assert ended.returncode == ExitCode.INTERRUPTED
    assert ended.stderr == "bench: interrupted; it did not stop in 0.2 s and was ended\n"
