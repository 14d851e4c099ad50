"""Starting workers: spawned afresh, or forked from a zygote; timeouts, captured output, replies.

The parent sleeps in `poll` while a worker measures; it wakes when something arrives, and once a
second to let a progress line move.
"""

import contextlib
import json
import os
import re
import select
import signal
import site
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Protocol, Self

import ondevice_bench
from ondevice_bench import passes
from ondevice_bench.protocol import VERSION
from ondevice_bench.protocol.job import Job, Reply
from ondevice_bench.protocol.packets import PACKET_BYTES
from ondevice_bench.run.hosts.host import HostError, Outcome, Tick

WORKER = "ondevice_bench.worker.worker"
ZYGOTE = "ondevice_bench.worker.zygote"
QUESTIONS = "ondevice_bench.worker.questions"
TICK_SECONDS = 1.0
EXIT_GRACE_SECONDS = 5.0
KEPT_OUTPUT = 1 << 16
_VMSTAT = Path("/proc/vmstat")
_ROOT = Path(ondevice_bench.__file__).resolve().parent.parent

# what a worker may inherit; threads come from the profile, everything else is left behind
ALLOWED_ENVIRONMENT = (
    "PATH",
    "HOME",
    "USER",
    "LANG",
    "LC_ALL",
    "LC_CTYPE",
    "TZ",
    "TMPDIR",
    "LD_LIBRARY_PATH",
    "LD_PRELOAD",
    "PYTHONPATH",
)


@dataclass(frozen=True)
class Interpreter:
    """What workers run in: a Python, and where it imports from before all else."""

    program: str = sys.executable
    sources: tuple[Path, ...] = ()


OURS = Interpreter()


class Launcher(Protocol):
    """Runs a job in a process of its own."""

    def launch(self, job: Job, timeout: float, tick: Tick) -> Outcome:
        """Run the job; never raises for what happens in the worker."""


def worker_environment(threads: int, sources: Sequence[Path] = ()) -> dict[str, str]:
    """The environment of every worker: what is allowed, and the threads of the profile.

    `sources` are where it imports from before all else; then comes this very `bench`, which may be
    another than the one that is installed.
    """
    inherited = {name: os.environ[name] for name in ALLOWED_ENVIRONMENT if name in os.environ}
    installed = {*site.getsitepackages(), site.getusersitepackages()}
    ours = [] if str(_ROOT) in installed else [_ROOT]
    path = [*map(str, [*sources, *ours]), *filter(None, [inherited.get("PYTHONPATH")])]
    return {
        **inherited,
        **({"PYTHONPATH": os.pathsep.join(path)} if path else {}),
        "OMP_NUM_THREADS": str(threads),
        "MKL_NUM_THREADS": str(threads),
        "PYTHONHASHSEED": "0",
    }


class SpawnLauncher:
    """A fresh interpreter for each job: what memory passes need."""

    def __init__(self, environment: Mapping[str, str], program: str = sys.executable) -> None:
        self.environment = environment
        self._program = program

    def launch(self, job: Job, timeout: float, tick: Tick) -> Outcome:
        """Start a worker, hand it the job, wait for its reply."""
        began, oom_kills = time.monotonic(), _oom_kills()
        with tempfile.TemporaryFile() as output, _pipe() as (read_end, write_end):
            process = subprocess.Popen(
                python_command(self._program, WORKER, os.getpid(), write_end),
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=output,
                env=self.environment,
                pass_fds=(write_end,),
                start_new_session=True,
            )
            try:
                os.close(write_end)
                assert process.stdin is not None
                with contextlib.suppress(BrokenPipeError), process.stdin:
                    process.stdin.write(f"{job.to_text()}\n".encode())
                text, timed_out = _receive(read_end, began + timeout, tick)
                if timed_out:
                    process.kill()
                status = _wait(process)
            finally:
                process.kill()
                process.wait()
            reply = _judge(text, status, timeout if timed_out else None, oom_kills)
            return Outcome(reply, "spawned", time.monotonic() - began, _tail(output))


class ZygoteEnded(HostError):
    """The zygote is gone; the text is the last line that it printed."""


class ZygoteLauncher:
    """Forks each job's worker from one process that has imported torch already."""

    def __init__(self, environment: Mapping[str, str], program: str = sys.executable) -> None:
        self._environment = environment
        self._program = program
        self._hello: Mapping[str, Any] | None = None
        self._start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def hello(self) -> Mapping[str, Any]:
        """The first message of the zygote: its software and its count of threads."""
        if self._hello is None:
            self._hello = self._next_message()
            if self._hello.get("protocol") != VERSION:
                raise HostError(
                    f"its worker protocol is {self._hello.get('protocol')}, ours is {VERSION}"
                )
        return self._hello

    @property
    def can_fork(self) -> bool:
        """Only a process without other threads may be forked safely."""
        return bool(self.hello["threads"] == 1)

    def launch(self, job: Job, timeout: float, tick: Tick) -> Outcome:
        """Have a worker forked, wait for its reply; a zygote that ends is replaced."""
        began = time.monotonic()
        with tempfile.TemporaryFile() as output:
            try:
                reply = self._launch(job, timeout, tick, output)
            except (ZygoteEnded, OSError) as error:
                reply = Reply("failed", reason=f"the process that forks workers ended: {error}")
                self.renew()
            return Outcome(reply, "forked", time.monotonic() - began, _tail(output))

    def renew(self) -> None:
        """Begin to start another in its place; whoever forks first waits for it.

        All workers of one share a pace (docs/performance.md): rounds shall not.
        """
        self.close()
        self._start()

    def close(self) -> None:
        """End the zygote, and with it any worker."""
        self._socket.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(EXIT_GRACE_SECONDS)
        self._process.kill()
        self._process.wait()
        self._output.close()

    def _start(self) -> None:
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._output = tempfile.TemporaryFile()  # noqa: SIM115  # `close` closes it
        self._hello = None
        with theirs:
            self._process = subprocess.Popen(
                python_command(self._program, ZYGOTE, theirs.fileno()),
                stdin=subprocess.DEVNULL,
                stdout=self._output,
                stderr=self._output,
                env=self._environment,
                pass_fds=(theirs.fileno(),),
                start_new_session=True,
            )

    def _launch(self, job: Job, timeout: float, tick: Tick, output: IO[bytes]) -> Reply:
        assert self.can_fork
        deadline, oom_kills = time.monotonic() + timeout, _oom_kills()
        with _pipe() as (read_end, write_end):
            request = json.dumps({"job": job.to_text()}).encode()
            try:
                socket.send_fds(self._socket, [request], [write_end, output.fileno()])
            finally:
                os.close(write_end)
            try:
                text, timed_out = _receive(read_end, deadline, tick)
            except BaseException:
                self._kill_worker()
                raise
        status = self._kill_worker() if timed_out else self._exit_status()
        return _judge(text, status, timeout if timed_out else None, oom_kills)

    def _kill_worker(self) -> int:
        self._socket.send(json.dumps({"kill": True}).encode())
        return self._exit_status()

    def _exit_status(self) -> int:
        """The worker's exit status; a worker that replied but lingers is killed."""
        poll = select.poll()
        poll.register(self._socket, select.POLLIN)
        if not poll.poll(EXIT_GRACE_SECONDS * 1000):
            self._socket.send(json.dumps({"kill": True}).encode())
        return int(self._next_message()["exit"])

    def _next_message(self) -> Mapping[str, Any]:
        packet = self._socket.recv(PACKET_BYTES)
        if not packet:
            self._process.wait()
            raise ZygoteEnded(_last_words(_tail(self._output)))
        message: Mapping[str, Any] = json.loads(packet)
        return message


class PassLauncher:
    """Spawns memory passes, forks the others where the zygote allows it.

    A forked child's floor is lower than a spawned one's, because file pages of the libraries are
    not mapped in it yet: its resident memory would look too small.
    """

    def __init__(self, spawn: Launcher, fork: ZygoteLauncher) -> None:
        self.spawn = spawn
        self.fork = fork

    def renew(self) -> None:
        """Fork from another zygote from now on."""
        self.fork.renew()

    def launch(self, job: Job, timeout: float, tick: Tick) -> Outcome:
        """Run the job the way its pass needs."""
        forked = not passes.BY_NAME[job.pass_name].is_spawned and self.fork.can_fork
        launcher: Launcher = self.fork if forked else self.spawn
        return launcher.launch(job, timeout, tick)


def python_command(program: str, module: str, *arguments: object) -> list[str]:
    """The command that runs one of our modules in that Python."""
    # -P: nothing in the working directory may take the place of a module that a worker imports
    return [program, "-P", "-m", module, *map(str, arguments)]


@contextlib.contextmanager
def _pipe() -> Iterator[tuple[int, int]]:
    """A pipe; the caller closes the write end, the read end is closed here."""
    read_end, write_end = os.pipe()
    try:
        yield read_end, write_end
    finally:
        os.close(read_end)


def _receive(read_end: int, deadline: float, tick: Tick) -> tuple[str, bool]:
    """Read one line, or what came until the pipe ended; True where the deadline passed first."""
    poll = select.poll()
    poll.register(read_end, select.POLLIN)
    received = bytearray()
    while True:
        left = deadline - time.monotonic()
        if left <= 0:
            return "", True
        if not poll.poll(min(left, TICK_SECONDS) * 1000):
            tick()
            continue
        chunk = os.read(read_end, 1 << 20)
        received += chunk
        if not chunk or chunk.endswith(b"\n"):
            return received.decode(errors="replace"), False


def _wait(process: "subprocess.Popen[bytes]") -> int:
    try:
        return process.wait(EXIT_GRACE_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait()


def _judge(text: str, status: int, timeout: float | None, oom_kills: int | None) -> Reply:
    """The worker's own reply where it is whole; otherwise how the worker ended."""
    if timeout is not None:
        return Reply("timeout", reason=f"no result within {timeout:g} s")
    if text.endswith("\n"):
        return Reply.from_text(text)
    if status == -signal.SIGKILL and oom_kills is not None and _oom_kills() != oom_kills:
        return Reply("oom", reason="killed by the kernel because memory ran out")
    if status < 0:
        return Reply("failed", reason=f"killed by {signal.Signals(-status).name}")
    return Reply("failed", reason=f"the worker ended with status {status} and no result")


def _last_words(output: str) -> str:
    """The line of what a process printed that says most about its end."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    errors = [line for line in lines if re.match(r"\w+(\.\w+)*(Error|Exception)\b", line)]
    return [*lines[-1:], *errors[-1:]][-1] if lines else "it printed nothing"


def _oom_kills() -> int | None:
    """How many processes the kernel has killed for want of memory since boot."""
    try:
        lines = _VMSTAT.read_text().splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) for line in lines if line.startswith("oom_kill ")), None)


def _tail(output: IO[bytes]) -> str:
    size = output.seek(0, os.SEEK_END)
    output.seek(max(0, size - KEPT_OUTPUT))
    return output.read().decode(errors="replace")
