"""Files that people write: suites, profiles, layouts, claims, search spaces, and files of boards."""

import itertools
import json
import random
import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from unittest import mock

from ondevice_bench.fleet import muster
from ondevice_bench.fleet.fleet_file import FleetBoard, load_fleet
from ondevice_bench.hardware.profile import load_profile
from ondevice_bench.papers.claims_file import load_published
from ondevice_bench.recommend.text import headline, paste_lines, rest_lines, rivals_table
from ondevice_bench.remote.address import Address, boards, remember
from ondevice_bench.report.layout import load_layout
from ondevice_bench.suite.board import Board
from ondevice_bench.suite.load import load_suite
from ondevice_bench.suite.plan import plan
from ondevice_bench.terminal import error_line
from tests.campaign.calling import call
from tests.campaign.changes import bytes_changed, words_changed
from tests.campaign.inputs import Kind
from tests.fleet.simulation import Rules, SimulatedHost
from tests.recommend.conftest import World

ROOT = Path(__file__).parents[2]
BOARD = Board("x86", memory_gib=8.0)
HOSTS = """\
schema: 1
boards:
  board1:
    address: pi@board1
    folder: /srv/bench
  board2: {address: "pi@board2:2222", python: env/bin/python, ssh_config: ~/.ssh/lab}
"""
FLEET = """\
schema: 1
boards:
  - {host: board1, tags: [pi5, left], lock: "true board1", unlock: "true"}
  - {host: "pi@board3:2222", tags: [pi5]}
  - host: pi@board4
    profile: pi5-4gb
cooling: {celsius: 65, wait: 5m}
patience: 90s
"""
SPACE = """\
schema: 1
title: Ways to train
purpose: To be changed
methods: [vanilla, lean, gradient_filter: {radius: 2}]
layers: [all]
batch: [1, 2]
train: {optimizer: sgd, lr: 0.05}
learning: {epochs: 1, examples: 32, validation: 16, test: 32, learning_rates: [0.01, 0.1]}
"""


def _declared(name: str) -> Callable[[Path], bytes]:
    return lambda _: (ROOT / name).read_bytes()


def _void(_: object) -> None:
    """Nothing of it is needed: it was read."""


def _use_suite(path: Path, _: random.Random) -> None:
    plan(load_suite(f"./{path}"), BOARD)


def _use_hosts(path: Path, _: random.Random) -> None:
    """List the boards, and add one. The others stay as they were."""
    call("board", "list")
    before, new = boards(path), Address("another", "pi@another", 2222)
    remember(new.name, new, path)
    assert boards(path) == {**before, new.name: new}


def _fleet(_: Path) -> bytes:
    Path("hosts.yaml").write_text(HOSTS)
    return FLEET.encode()


def _use_fleet(path: Path, _: random.Random) -> None:
    """Show what each board does, and muster the boards. They are simulated."""
    number = itertools.count()

    def connect(board: FleetBoard) -> SimulatedHost:
        return SimulatedHost(next(number), Rules(), board.profile or "generic")

    with mock.patch.object(muster, "over_ssh", return_value=connect):
        call("fleet", "status", "--fleet", str(path))
    told: list[str] = []
    with muster.mustered(load_fleet(path), told.append, threading.Event(), connect) as present:
        assert present
    assert all(error_line(line) for line in told)


def _use_names(path: Path, _: random.Random) -> None:
    """Give each line to a command that takes such a name."""
    lines = path.read_text(encoding="utf-8").split("\n")
    name, model, kind, shell, *_ = [*lines, "", "", "", ""]
    shutil.rmtree("suites", ignore_errors=True)
    call("init", f"--model={model}", "--", name)
    call("schema", "--", kind)
    call("completion", "--", shell)


def _use_space(path: Path, chance: random.Random) -> None:
    """Search in it, on a machine that only answers."""
    shutil.rmtree("out", ignore_errors=True)
    world = World(Path(), space=path.read_text(encoding="utf-8"))
    learns = {"data": "digits", "min_cosine": None, "min_accuracy": 0.2, "seeds": 1}
    found = world.search(budget=40, **(learns if chance.random() < 0.5 else {}))
    json.dumps(found.to_dict(), allow_nan=False)
    headline(found), rivals_table(found), rest_lines(found), paste_lines(found)


DECLARATIONS = (
    Kind("a suite: words", "x.yaml", _declared("suites/quick.yaml"), words_changed, _use_suite),
    Kind(
        "a suite: bytes", "x.yaml", _declared("suites/regression.yaml"), bytes_changed, _use_suite
    ),
    Kind(
        "a profile: words",
        "x.yaml",
        _declared("hardware/pi5.yaml"),
        words_changed,
        lambda path, _: _void(load_profile(f"./{path}")),
    ),
    Kind(
        "a layout: words",
        "x.yaml",
        _declared("reports/layouts/run.yaml"),
        words_changed,
        lambda path, _: _void(load_layout(f"./{path}")),
    ),
    Kind(
        "claims: words",
        "x.yaml",
        _declared("reports/claims.yaml"),
        words_changed,
        lambda path, _: _void(load_published(path)),
    ),
    Kind(
        "a search space: words", "space.yaml", lambda _: SPACE.encode(), words_changed, _use_space
    ),
    Kind("a hosts file: words", "hosts.yaml", lambda _: HOSTS.encode(), words_changed, _use_hosts),
    Kind(
        "names that commands take: words",
        "x.txt",
        lambda _: b"mine\nmcunet\nsuite\nbash\n",
        words_changed,
        _use_names,
    ),
    Kind("a fleet file: words", "fleet.yaml", _fleet, words_changed, _use_fleet),
)
