"""Workers that need not import torch first: `torch_server.py SOCKET`.

A server imports torch and forks a process for each request. In the command of a worker,
`command_of` puts a small client in the place of Python. The client hands its arguments, its
environment and its open files to the server, waits, and ends as the forked process ended. If the
client is killed, the forked process is killed, too.

Tests of the launching itself start real interpreters, and so do those that run the installed
command: the journey.
"""

import atexit
import contextlib
import gc
import importlib
import json
import os
import pkgutil
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NoReturn, Self

_CLIENT = Path(__file__).with_name("torch_client.py")
_HIGH = 500  # descriptors from here on are free
_PACKET_BYTES = 1 << 17
_MOST_FILES = 64


class TorchServer:
    """The server of this test session; close it at the end."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory()
        self.path = Path(self._folder.name, "socket")
        listening = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with listening:
            listening.bind(str(self.path))
            listening.listen()
            self._process = subprocess.Popen(
                [sys.executable, "-P", __file__, str(listening.fileno())],
                pass_fds=(listening.fileno(),),
                start_new_session=True,
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        self._folder.cleanup()


def command_of(path: str, program: str, module: str, *arguments: object) -> list[str]:
    """The command that runs one of our modules: in the server, if that is the same Python."""
    words = [module, *map(str, arguments)]
    if program != sys.executable:
        return [program, "-P", "-m", *words]
    return [program, "-I", "-S", str(_CLIENT), path, *words]


def fork_workers_from(path: str) -> None:
    """Have the server at this path fork all workers that this process starts from now on."""
    from ondevice_bench.running.hosts import launch

    launch.python_command = partial(command_of, path)


def _serve(listening: socket.socket) -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    while True:
        connection, _ = listening.accept()
        with connection:
            if os.fork() == 0:
                listening.close()
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                _keep(connection)


def _keep(connection: socket.socket) -> None:
    """Fork the process, and end it with its client or tell the client how it ended."""
    packet, fds, _, _ = socket.recv_fds(connection, _PACKET_BYTES, _MOST_FILES)
    if not packet:
        os._exit(0)
    child = os.fork()
    if child == 0:
        connection.close()
        _become_the_process(json.loads(packet), fds)
    for each in fds:
        os.close(each)
    poll = select.poll()
    poll.register(os.pidfd_open(child), select.POLLIN)
    poll.register(connection, select.POLLIN)
    if connection.fileno() in {ready for ready, _ in poll.poll()}:
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    with contextlib.suppress(BrokenPipeError):
        connection.send(str(os.waitstatus_to_exitcode(status)).encode())
    os._exit(0)


def _become_the_process(request: Mapping[str, Any], fds: Sequence[int]) -> None:
    import torch

    for target, descriptor in zip(request["fds"], fds, strict=True):
        os.dup2(descriptor, _HIGH + target)
    os.closerange(0, _HIGH)
    for target in request["fds"]:
        os.dup2(_HIGH + target, target)
    os.closerange(_HIGH, 2 * _HIGH)
    os.chdir(request["cwd"])
    os.environ.clear()
    os.environ.update(request["environment"])
    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    sys.path[:0] = filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))
    module, *arguments = request["words"]
    sys.argv = [module, *arguments]
    end_as_python_does(importlib.import_module(module).main)


def end_as_python_does(main: Callable[[], int | None]) -> NoReturn:
    """Run to the end, and leave to the kernel the modules that the server imported.

    Python would clear them one by one, which takes longer than most commands.
    """
    try:
        status = main() or 0
    except SystemExit as ended:
        status = int(ended.code or 0)
    threading._shutdown()
    atexit._run_exitfuncs()
    with contextlib.suppress(Exception):  # what cannot be written is Python's own to say
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
    sys.exit(status)


def _import_the_workers_modules() -> None:
    from ondevice_bench.worker import runtime

    runtime.import_torch()
    for name in ("worker", "workload", "zygote", "questions"):
        importlib.import_module(f"ondevice_bench.worker.{name}")
    for room in ("worker.passes", "models"):  # each worker would import some of them
        package = importlib.import_module(f"ondevice_bench.{room}")
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            importlib.import_module(module.name)
    gc.freeze()  # collections in a forked process look at its own objects only
    machine_peaks = importlib.import_module("ondevice_bench.worker.passes.machine_peaks")
    machine_peaks.SECONDS = 0.1  # some samples of each product are enough
    machine_peaks.COPIED = 64 << 20
    die_with_parent = runtime.die_with_parent

    def die_with_a_parent_of_ours(parent: int) -> None:
        if parent == os.getppid():  # else the client ends us
            die_with_parent(parent)

    runtime.die_with_parent = die_with_a_parent_of_ours


if __name__ == "__main__":
    _import_the_workers_modules()
    _serve(socket.socket(fileno=int(sys.argv[1])))
