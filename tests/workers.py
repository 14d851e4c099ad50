"""Jobs over real and deliberately bad models."""

import contextlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy
import psutil
import pytest

from ondevice_bench.data import tensorfile
from ondevice_bench.data.batch import BatchStore
from ondevice_bench.hardware.state import allowed_cpus
from ondevice_bench.measure import interference
from ondevice_bench.measure.energy import EnergyUnavailable
from ondevice_bench.protocol.job import Job
from ondevice_bench.running.hosts.interpreter import worker_environment
from ondevice_bench.running.hosts.launch import SpawnLauncher, ZygoteLauncher
from ondevice_bench.running.hosts.local import local_host
from ondevice_bench.running.queries.jobs import JobMaker
from ondevice_bench.suite.cell import Cell
from ondevice_bench.suite.suite import Sampling

SAMPLING = Sampling(warmup=1, min_samples=6, max_samples=6, max_seconds=1)
THREADS = min(2, len(allowed_cpus()))

CONV = "conv2d(4, 4, 3, padding=1) at 8x8"  # a model of one layer
# a model that is built at once, with its options
SMALL = ("vit_b_32", {"model_options": (("depth", 1), ("image_size", 32))})

# a model module whose behaviour is chosen by an option
ODD = """
import os, signal, sys, time
import torch
from torch import nn

def construct(does):
    print("constructing", does, flush=True)
    if does == "raise":
        raise ValueError("a model that cannot be\\nbuilt, second line")
    if does == "show allocators":
        with open("/proc/self/maps") as maps:
            print(*{line.split("/")[-1].strip() for line in maps if "malloc" in line})
    if does == "exit":
        os._exit(7)
    if does == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if does == "segfault":
        os.kill(os.getpid(), signal.SIGSEGV)
    if does == "sleep":
        time.sleep(3600)
    if does == "huge":
        torch.empty(2**50)
    if does.endswith("family"):
        import subprocess
        for session in (False, True):
            print(subprocess.Popen(["sleep", "600"], start_new_session=session).pid, flush=True)
        if does != "family":
            os.kill(os.getpid(), signal.SIGSEGV)
    if does == "stop the zygote":
        os.kill(os.getppid(), signal.SIGSTOP)
    if does == "linger":
        import threading
        threading.Thread(target=time.sleep, args=(3600,)).start()
    return nn.Sequential(nn.Flatten(), nn.Linear(3 * 8 * 8, 5))

def initialise(model, seed):
    pass
"""


class FixedPower:
    """A meter of a power that does not change; None stalls."""

    scope = "a test"
    interval = 0.0

    def __init__(self, watts: float | None) -> None:
        self.marks: list[float] = []
        self._watts = watts

    @contextlib.contextmanager
    def begin(self) -> "Iterator[FixedPower]":
        yield self

    def mark(self) -> float:
        self.marks.append(time.perf_counter())
        return self.marks[-1]

    def settle(self) -> None:
        pass

    def tells_of(self, moment: float) -> bool:
        return True

    def joules(self, start: float, end: float) -> float:
        if self._watts is None:
            raise EnergyUnavailable("it stalled")
        return self._watts * (end - start)


def is_alive(pid: int | str) -> bool:
    """Whether the process runs: one that nobody has reaped yet does not."""
    try:
        return bool(psutil.Process(int(pid)).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def busy_machine(monkeypatch: pytest.MonkeyPatch, cores: float) -> None:
    """A machine on which other programs use so many cores all the time, counted without error."""

    def read() -> interference.Counters:
        now = time.perf_counter()
        return interference.Counters(now, 0.0, cores * now, 0.0, None)

    monkeypatch.setattr(interference, "read", read)
    monkeypatch.setattr(interference, "SLACK", 0.0)  # these counters are exact


@pytest.fixture
def make_job(tmp_path: Path) -> Callable[..., Job]:
    """A job over a built-in model."""
    maker = JobMaker(local_host(), BatchStore(tmp_path / "batches"), SAMPLING)

    def make(pass_name: str, model: str = "mcunet", **what: object) -> Job:
        said = {"id": "cell", "method": "vanilla", "batch": 2, **what}
        cell = Cell(model=model, **said)
        return maker.job(cell, pass_name)

    return make


@pytest.fixture(scope="session")
def odd_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `odd_model` and a batch for it."""
    folder = tmp_path_factory.mktemp("odd")
    (folder / "odd_model.py").write_text(ODD)
    images = numpy.zeros((2, 3, 8, 8), dtype="float32")
    labels = numpy.zeros(2, dtype="int64")
    tensorfile.write(folder / "batch.safetensors", {"inputs": images, "targets": labels})
    return folder


@pytest.fixture
def odd_job(odd_folder: Path) -> Callable[..., Job]:
    """A job over a model that does what its option says."""

    def make(does: str, pass_name: str = "time") -> Job:
        return Job(
            cell=Cell(id="odd", model="odd", method="vanilla", batch=2),
            pass_name=pass_name,
            model="odd_model",
            model_options={"does": does},
            methods=(("ondevice_bench.methods.vanilla:Vanilla", {}),),
            layout={},
            inputs={"kind": "images", "channels": 3, "size": 8, "classes": 5, "dense": False},
            weights={"kind": "random"},
            batch_path=str(odd_folder / "batch.safetensors"),
            sampling=SAMPLING,
            cpus=allowed_cpus(),
            created_ns=time.monotonic_ns(),
        )

    return make


@pytest.fixture(scope="session")
def environment(odd_folder: Path) -> dict[str, str]:
    """A worker's environment in which `odd_model` can be imported."""
    return worker_environment(THREADS, [odd_folder])


@pytest.fixture(scope="module")
def zygote(environment: dict[str, str]) -> Iterator[ZygoteLauncher]:
    """A zygote that a module's tests share; whatever its workers do must not harm it."""
    with ZygoteLauncher(environment) as launcher:
        assert launcher.can_fork
        yield launcher


@pytest.fixture
def spawner(environment: dict[str, str]) -> SpawnLauncher:
    """A launcher of fresh interpreters."""
    return SpawnLauncher(environment)
