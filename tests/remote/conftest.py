"""Boards for tests: behind a pipe, and behind a real sshd."""

import json
import os
import shlex
import sys
from pathlib import Path

import pytest

from tests.remote import sshd as servers
from tests.remote.pipe import PipeWay

QUICK = (sys.executable, "-P", str(Path(__file__).with_name("quick_board.py")))


@pytest.fixture
def quick_board(tmp_path):
    """A board behind a pipe whose jobs take no time."""
    folder = tmp_path / "board"
    folder.mkdir()
    return PipeWay(folder, program=QUICK)


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    """One sshd for all tests that do not change it."""
    with RunningServer(tmp_path_factory.mktemp("sshd")) as found:
        yield found


@pytest.fixture
def own_server(tmp_path):
    """An sshd for one test."""
    with RunningServer(tmp_path / "sshd") as found:
        yield found


@pytest.fixture
def bare_server(tmp_path, monkeypatch):
    """An sshd whose processes find only what is installed there."""
    monkeypatch.setenv("PIP_NO_COMPILE", "0")  # pip takes 0 for yes: it compiles nothing
    with RunningServer(tmp_path / "sshd", forwarded=("PIP_NO_COMPILE",)) as found:
        yield found


class RunningServer:
    """Starts and stops an sshd; the test skips where there is none."""

    def __init__(self, folder, **settings):
        if servers.SSHD is None:
            reason = "no sshd here: install openssh-server"
            if os.environ.get("BENCH_REQUIRE_SSHD"):
                pytest.fail(reason)
            pytest.skip(reason)
        self.folder, self.settings = folder, settings

    def __enter__(self):
        self.server = servers.start(self.folder, **self.settings)
        return self.server

    def __exit__(self, *_):
        self.server.stop()


@pytest.fixture
def quick_python(tmp_path):
    """An interpreter for `python:` in hosts.yaml that starts the quick board."""
    path = tmp_path / "quick python"  # with a space, as any path may have one
    path.write_text(f'#!/bin/sh\nexec {" ".join(QUICK)} "$4"\n')
    path.chmod(0o755)
    return path


@pytest.fixture
def forking_python(tmp_path, torch_server):
    """An interpreter for `python:` in hosts.yaml. Workers there have their imports done."""
    program = (sys.executable, "-P", str(Path(__file__).with_name("forking_board.py")))
    path = tmp_path / "forking-python"
    path.write_text(f'#!/bin/sh\nexec {shlex.join(program)} {torch_server.path} "$4"\n')
    path.chmod(0o755)
    return path


@pytest.fixture
def hosts_file(workplace):
    """Write `hosts.yaml` with one board."""

    def write(server, folder, python=sys.executable, name="board1"):
        board = {
            "address": server.address,
            "folder": str(folder),
            "python": str(python),
            "ssh_config": str(server.config),
        }
        text = json.dumps({"schema": 1, "boards": {name: board}})  # JSON is YAML, too
        (workplace / "hosts.yaml").write_text(text)

    return write
