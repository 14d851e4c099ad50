"""The command `bench` in a process of its own that need not import its modules first.

A server imports what the command imports and forks a process for each call. A hundred commands
then cost a hundred forks, not a hundred imports. What the imports themselves do is seen by the
tests that start the installed command: the journey.

The workers of these commands need not import torch first either: `torch_server.py`.
"""

import gc
import json
import os
import pkgutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from tests.torch_server import end_as_python_does, fork_workers_from

PACKET_BYTES = 1 << 17
_ROOT = Path(__file__).parents[1]


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str

    def json(self) -> Any:
        return json.loads(self.out)


class Command:
    """Runs `bench` with arguments; close it at the end."""

    def __init__(self, torch_server: Path) -> None:
        self._torch_server = torch_server
        self._start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()
        self._server.wait()

    def run(
        self,
        arguments: Sequence[str],
        cwd: Path,
        timeout: float = 300,
        environment: Mapping[str, str] | None = None,
    ) -> Ended:
        """Run the command to its end; TimeoutError after `timeout` seconds."""
        request = {
            "arguments": [*map(str, arguments)],
            "cwd": str(cwd),
            "environment": dict(os.environ if environment is None else environment),
        }
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            socket.send_fds(
                self._socket, [json.dumps(request).encode()], [out.fileno(), err.fileno()]
            )
            self._socket.settimeout(timeout)
            try:
                reply = self._socket.recv(PACKET_BYTES)
            except BaseException:  # a limit of the test, too
                os.killpg(self._server.pid, signal.SIGKILL)
                self._server.wait()
                self._start()
                raise
            assert reply, "the server of commands has ended"
            out.seek(0)
            err.seek(0)
            return Ended(int(reply), out.read().decode(), err.read().decode())

    def _start(self) -> None:
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        path = [str(_ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
        with theirs:
            self._server = subprocess.Popen(
                [sys.executable, "-P", __file__, str(theirs.fileno()), self._torch_server],
                pass_fds=(theirs.fileno(),),
                start_new_session=True,
                # no threads: it is forked
                env={
                    **os.environ,
                    "OPENBLAS_NUM_THREADS": "1",
                    "PYTHONPATH": os.pathsep.join(path),
                },
            )


def _import_the_parents_modules() -> None:
    import pandas  # noqa: F401  # once, for all forked commands
    import plotly.graph_objects  # noqa: F401  # the same

    import ondevice_bench

    for room in ("analyse", "cli", "record", "report", "running", "suite"):
        package = __import__(f"ondevice_bench.{room}", fromlist=[room])
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            __import__(module.name)
    from ondevice_bench.hardware.profile import profiles
    from ondevice_bench.record import migrate
    from ondevice_bench.report.page import own_environment

    profiles()  # each command would parse the files again
    templates = own_environment()
    for name in templates.list_templates(filter_func=lambda name: not name.startswith("site/")):
        templates.get_template(name)  # each page would compile them again
    migrate.DURABILITY = "OFF"  # as in `conftest.py`
    assert "torch" not in sys.modules, ondevice_bench.__file__
    gc.collect()
    gc.freeze()  # collections in a forked process look at its own objects only


def _serve(connection: socket.socket) -> None:
    while True:
        packet, fds, _, _ = socket.recv_fds(connection, PACKET_BYTES, 2)
        if not packet:
            return
        child = os.fork()
        if child == 0:
            _become_the_command(json.loads(packet), connection, fds)
        for descriptor in fds:
            os.close(descriptor)
        _, status = os.waitpid(child, 0)
        connection.send(str(os.waitstatus_to_exitcode(status)).encode())


def _become_the_command(
    request: Mapping[str, Any], connection: socket.socket, fds: Sequence[int]
) -> None:
    from ondevice_bench.cli import main

    connection.close()
    for target, descriptor in enumerate(fds, 1):
        os.dup2(descriptor, target)
        os.close(descriptor)
    os.chdir(request["cwd"])
    os.environ.clear()
    os.environ.update(request["environment"])
    sys.argv = [str(Path(sys.executable).parent / "bench"), *request["arguments"]]
    end_as_python_does(main)


if __name__ == "__main__":
    _import_the_parents_modules()
    fork_workers_from(sys.argv[2])
    _serve(socket.socket(fileno=int(sys.argv[1])))
