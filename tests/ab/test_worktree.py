"""The trees of git refs: nothing of them is left, however the command ends."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import psutil
import pytest

from ondevice_bench.ab.worktree import tree_of
from ondevice_bench.cli import stopping
from ondevice_bench.running.hosts.turns import piped_turns
from tests.git import git
from tests.workers import is_alive

BENCH = Path(sys.executable).parent / "bench"
# git runs it in the new tree, which is only half known to git at that time
WAITING = (
    "#!/bin/sh\necho $$ $PPID > {folder}/part && mv {folder}/part {folder}/waiting\nsleep 600\n"
)


@pytest.fixture
def repository(workplace, monkeypatch):
    """A repository with one commit, and a folder for temporary files beside it."""
    git("init", "-q")
    (workplace / "file").write_text("x")
    git("add", "file")
    git("commit", "-qm", "one")
    temporary = workplace / "tmp"
    temporary.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    return workplace


@pytest.fixture
def stopped(repository):
    """Stop `bench ab` while git makes the tree; its exit status, its errors, git's processes."""

    def stop(number):
        hook = repository / ".git/hooks/post-checkout"
        hook.write_text(WAITING.format(folder=repository))
        hook.chmod(0o755)
        words = [BENCH, "ab", "HEAD", "."]
        with subprocess.Popen(words, stderr=subprocess.PIPE, text=True) as command:
            end = time.monotonic() + 120
            while not (repository / "waiting").exists() and command.poll() is None:
                assert time.monotonic() < end
                time.sleep(0.05)
            command.send_signal(number)
            _, err = command.communicate(timeout=120)
        hook.unlink()
        return command.returncode, err, (repository / "waiting").read_text().split()

    return stop


def trees():
    return git("worktree", "list").splitlines()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_leaves_no_tree_and_no_process(repository, stopped, number):
    code, err, processes = stopped(number)
    assert code == 130
    assert err in ("", "bench: interrupted\n")
    assert list((repository / "tmp").iterdir()) == []
    assert len(trees()) == 1
    assert not any(map(is_alive, processes))


def test_what_a_killed_command_left_goes_with_the_next_one(repository, stopped):
    code, _, processes = stopped(signal.SIGKILL)
    assert code == -signal.SIGKILL
    family = [psutil.Process(int(process)) for process in processes]  # the hook, and git
    for process in [*family, *family[0].children(recursive=True)]:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    assert len(list((repository / "tmp").iterdir())) == 1
    assert len(trees()) == 2
    with tree_of("HEAD") as tree:
        assert [*(repository / "tmp").iterdir()] == [tree.root.parent]
        assert len(trees()) == 2
    assert list((repository / "tmp").iterdir()) == []
    assert len(trees()) == 1


def test_only_our_own_lost_trees_are_forgotten(repository):
    for folder in ("bench-ab-lost", "theirs", "tree"):
        git("worktree", "add", "-q", "--detach", str(repository / "tmp" / folder / "tree"))
        shutil.rmtree(repository / "tmp" / folder)
    with tree_of("HEAD"):
        assert len(trees()) == 4
    assert len(trees()) == 3
    assert not any("bench-ab" in line for line in trees())


def test_a_tree_leaves_the_index_of_a_new_commit_alone(repository, monkeypatch):
    """`git commit -a` names it in a variable for its hooks."""
    (repository / "file").write_text("y")
    git("add", "file")
    index = repository / ".git/index"
    before = index.read_bytes()
    monkeypatch.setenv("GIT_INDEX_FILE", str(index))
    with tree_of("HEAD") as tree:
        assert (tree.root / "file").read_text() == "x"
    assert index.read_bytes() == before


def said_by_a_child(play):
    """What a child process writes to its standard error while it plays."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.dup2(write, 2)
            play()
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    os.close(write)
    with open(read) as pipe:
        return pipe.read()


def test_a_second_signal_does_not_disturb_the_cleaning_up():
    def play():
        try:
            with stopping.stopped_by_signals():
                os.kill(os.getpid(), signal.SIGTERM)
        except KeyboardInterrupt:
            for number in stopping.SIGNALS:
                os.kill(os.getpid(), number)
            os.write(2, b"cleaned up")

    assert said_by_a_child(play) == "cleaned up"


class Finalised:
    def __del__(self):
        os.kill(os.getpid(), signal.SIGINT)


def test_an_interrupt_that_python_ignores_comes_a_moment_later():
    def play():
        try:
            with stopping.stopped_by_signals():
                Finalised()  # what its `__del__` raises is only printed
                time.sleep(20)
        except KeyboardInterrupt:
            os.write(2, b"interrupted")

    assert said_by_a_child(play) == "interrupted"


def test_an_interrupt_ends_a_round_that_waits_for_the_second_side():
    def play():
        begun = threading.Event()

        def other(tick):
            begun.set()
            while True:
                tick()
                time.sleep(0.01)

        def one():
            begun.wait()
            signal.setitimer(signal.ITIMER_REAL, 0.1)

        signal.signal(signal.SIGALRM, signal.default_int_handler)
        with piped_turns(3) as turns, contextlib.suppress(KeyboardInterrupt):
            turns.run(one, other)
        os.write(2, b"ended")

    assert said_by_a_child(play) == "ended"


def test_an_interrupted_round_waits_for_neither_side():
    begun = threading.Event()

    def one():
        begun.wait()
        raise KeyboardInterrupt

    def other(tick):
        begun.set()
        for _ in range(6000):
            tick()
            time.sleep(0.1)

    before = time.monotonic()
    with pytest.raises(KeyboardInterrupt), piped_turns(3) as turns:
        turns.run(one, other)
    assert time.monotonic() - before < 60


def test_code_of_the_working_directory_comes_first_on_the_path(repository, monkeypatch):
    (repository / "sub/src").mkdir(parents=True)
    monkeypatch.chdir(repository / "sub")
    with tree_of(".") as tree:
        assert tree.sources == (repository / "sub/src", repository / "sub", repository)
    monkeypatch.chdir(repository)
    with tree_of(".") as tree:
        assert tree.sources == (repository,)
