"""What many tests need: the real command, small suites, a browser."""

import gc
import os
import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import settings

from ondevice_bench.record import migrate
from ondevice_bench.running.hosts import launch
from tests.command import Command, Ended
from tests.torch_server import TorchServer, fork_workers_from

if "PYTEST_XDIST_WORKER" in os.environ:
    # a processor for each worker, so that the threads of two tests do not wait for each other
    allowed = sorted(os.sched_getaffinity(0))
    number = int(os.environ["PYTEST_XDIST_WORKER"].removeprefix("gw"))
    os.sched_setaffinity(0, {allowed[number % len(allowed)]})
    os.environ["OMP_NUM_THREADS"] = "1"

# a shell lets its background jobs ignore these; tests send them, and children inherit what is ignored
for number, usual in (
    (signal.SIGINT, signal.default_int_handler),
    (signal.SIGHUP, signal.SIG_DFL),
):
    if signal.getsignal(number) is signal.SIG_IGN:
        signal.signal(number, usual)

# what tests read is as wide as it needs to be; readline sets the variable behind Python's back
os.environ.pop("COLUMNS", None)
os.unsetenv("COLUMNS")

# tests kill processes, but none takes the power away: a store need not wait for the disk
DURABILITY = migrate.DURABILITY
migrate.DURABILITY = "OFF"

# the same examples every time, and no limit on a wall clock that others share
settings.register_profile("bench", derandomize=True, deadline=None)
settings.load_profile("bench")

# fixtures that several rooms use
pytest_plugins = ("tests.board", "tests.narrow", "tests.summaries", "tests.workers")

ROOT = Path(__file__).parents[1]
TESTS = ROOT / "tests"
ALONE = TESTS / "measure"  # where `tox` looks for tests that run alone
# what takes long comes first, so that two workers end at about the same time
LONG = ("e2e", "test_examples.py", "campaign", "testing", "worker", "running", "models", "methods")
BENCH = Path(sys.executable).parent / "bench"

TINY = """\
schema: 1
title: Tiny
models: [{vit_b_32: {batch: 2, depth: 1, image_size: 32}}]
methods: [vanilla]
rounds: 1
time: {warmup: 1, min_samples: 3, max_samples: 3, max_seconds: 1}
"""
TINY_MODEL = "vit_b_32(depth=1,image_size=32)"
TINY_CELL = f"{TINY_MODEL}/vanilla/all/b2/s0"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.get_closest_marker("alone") and ALONE not in item.path.parents:
            raise pytest.UsageError(f"{item.nodeid}: is marked alone outside of {ALONE}")
    items.sort(key=_place)


def _place(item: pytest.Item) -> int:
    room = item.path.relative_to(TESTS).parts[0]
    return LONG.index(room) if room in LONG else len(LONG)


def pytest_collection_finish() -> None:
    """Let collections of garbage look at what tests make, not at all that was imported."""
    gc.collect()
    gc.freeze()


@pytest.fixture
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory outside any checkout."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def durable(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stores that this process opens wait for the disk, as those of users do."""
    monkeypatch.setattr(migrate, "DURABILITY", DURABILITY)


@pytest.fixture(scope="session")
def torch_server() -> Iterator[TorchServer]:
    """A process that forks workers with their imports done."""
    with TorchServer() as server:
        yield server


@pytest.fixture(scope="session")
def command(torch_server: TorchServer) -> Iterator[Command]:
    """The command `bench`, with its imports done, and those of its workers."""
    with Command(torch_server.path) as command:
        yield command


@pytest.fixture
def forking_bench(torch_server: TorchServer) -> tuple[str, ...]:
    """The words of the real command, to which a test sends signals. Its workers are forked."""
    return (sys.executable, "-P", str(TESTS / "forking_bench.py"), str(torch_server.path))


@pytest.fixture
def forked(torch_server: TorchServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers that the test starts have their imports done."""
    monkeypatch.setattr(launch, "python_command", launch.python_command)  # put back at the end
    fork_workers_from(str(torch_server.path))


@pytest.fixture
def forking_conftest(torch_server: TorchServer, monkeypatch: pytest.MonkeyPatch) -> str:
    """The text of a conftest of another session, whose workers have their imports done."""
    path = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(path))
    return (
        "from tests.torch_server import fork_workers_from\n\n"
        f"fork_workers_from({str(torch_server.path)!r})\n"
    )


@pytest.fixture
def bench(workplace: Path, command: Command) -> Callable[..., Ended]:
    """Run the command in the workplace, in a process of its own."""

    def run(*arguments: str | Path, cwd: Path = workplace, timeout: float = 300) -> Ended:
        ended = command.run([str(word) for word in arguments], cwd, timeout=timeout)
        assert "Traceback" not in ended.err, ended.err
        return ended

    return run


@dataclass(frozen=True)
class TinyRun:
    """A folder in which the tiny suite was run, and how the command ended."""

    folder: Path
    ended: Ended


@pytest.fixture(scope="session")
def tiny_run(tmp_path_factory: pytest.TempPathFactory, command: Command) -> TinyRun:
    """Run the tiny suite once."""
    folder = tmp_path_factory.mktemp("tiny")
    (folder / "suites").mkdir()
    (folder / "suites" / "tiny.yaml").write_text(TINY)
    ended = command.run(["run", "tiny"], folder)
    assert ended.code == 0, ended.err
    return TinyRun(folder, ended)


@pytest.fixture
def suite_file(workplace: Path) -> Callable[..., Path]:
    """Write a suite into the workplace's `suites/`."""

    def write(text: str = TINY, name: str = "tiny") -> Path:
        path = workplace / "suites" / f"{name}.yaml"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        return path

    return write


@pytest.fixture(scope="session")
def chromium() -> str:
    """The browser's path; without one the test skips, or fails where one is required."""
    path = os.environ.get("BENCH_CHROMIUM") or shutil.which("chromium")
    if path is None:
        message = "no chromium on this machine: install it, or set BENCH_CHROMIUM to its path"
        if os.environ.get("BENCH_REQUIRE_BROWSER"):
            pytest.fail(message)
        pytest.skip(message)
    return path
