"""Starts workers: as new processes, or forked from a zygote.

Every wait has a deadline: a worker or a zygote may be stopped, and the user's code in it may do
anything.
"""

import contextlib
import json
import os
import re
import select
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from typing import IO, Any, Protocol, Self

from ondevice_bench.protocol import VERSION
from ondevice_bench.protocol.job import Reply
from ondevice_bench.protocol.packets import PACKET_BYTES
from ondevice_bench.protocol.questions import Work
from ondevice_bench.running.hosts import worker_reply
from ondevice_bench.running.hosts.host import HostError, Outcome, Tick
from ondevice_bench.running.hosts.interpreter import python_command
from ondevice_bench.running.hosts.processes import end, tail, text_file

WORKER = "ondevice_bench.worker.worker"
ZYGOTE = "ondevice_bench.worker.zygote"
EXIT_GRACE_SECONDS = 5.0  # for the end of a worker that has replied
ANSWER_SECONDS = 10.0  # for a zygote to say how its worker ended
HELLO_SECONDS = 300.0  # for a zygote to import torch from a slow card


class Launcher(Protocol):
    """Has a process of its own do some work."""

    def launch(self, work: Work, timeout: float, tick: Tick) -> Outcome:
        """Have the work done; never raises for what happens in the worker."""


class SpawnLauncher:
    """A fresh interpreter for each worker: what memory passes need."""

    def __init__(self, environment: Mapping[str, str], program: str = sys.executable) -> None:
        self.environment = environment
        self._program = program

    def launch(self, work: Work, timeout: float, tick: Tick) -> Outcome:
        """Start a worker, hand it the work, wait for its reply."""
        began, oom_kills = time.monotonic(), worker_reply.oom_kills()
        with (
            tempfile.TemporaryFile() as output,
            text_file(f"{work.to_text()}\n") as request,
            worker_reply.pipe() as (read_end, write_end),
        ):
            try:
                process = subprocess.Popen(
                    python_command(self._program, WORKER, os.getpid(), write_end),
                    stdin=request,
                    stdout=output,
                    stderr=output,
                    env=self.environment,
                    pass_fds=(write_end,),
                    start_new_session=True,
                )
            finally:
                os.close(write_end)
            try:
                ended = os.pidfd_open(process.pid)
                try:
                    text = worker_reply.receive(read_end, ended, began + timeout, tick)
                finally:
                    os.close(ended)
                status = end(process, 0.0 if text is None else EXIT_GRACE_SECONDS)
            finally:
                end(process)
            printed = tail(output)
            reply = worker_reply.judge(text, status, timeout, oom_kills, printed)
            return Outcome(reply, "spawned", time.monotonic() - began, printed)


class ZygoteEnded(HostError):
    """The zygote is gone; the text is the last line that it printed."""


class ZygoteLauncher:
    """Forks each worker from one process that has imported torch already."""

    def __init__(self, environment: Mapping[str, str], program: str = sys.executable) -> None:
        self._environment = environment
        self._program = program
        self._hello: Mapping[str, Any] | None = None
        self._why_not = ""  # it could not be started
        self._closing = contextlib.ExitStack()
        self._start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def hello(self) -> Mapping[str, Any]:
        """The first message of the zygote: its software and its count of threads."""
        if self._why_not:
            raise ZygoteEnded(self._why_not)
        if self._hello is None:
            hello = self._next_message(HELLO_SECONDS, "protocol")
            if hello["protocol"] != VERSION:
                raise HostError(f"its worker protocol is {hello['protocol']}, ours is {VERSION}")
            self._hello = hello
        return self._hello

    @property
    def can_fork(self) -> bool:
        """Only a process without other threads may be forked safely."""
        return bool(self.hello["threads"] == 1)

    def launch(self, work: Work, timeout: float, tick: Tick) -> Outcome:
        """Have a worker forked, wait for its reply; a zygote that ends is replaced."""
        began, oom_kills = time.monotonic(), worker_reply.oom_kills()
        with tempfile.TemporaryFile() as output, text_file(f"{work.to_text()}\n") as request:
            try:
                reply = self._launch(request, timeout, tick, output)
            except (HostError, OSError) as error:
                reply = self.replaced(error, oom_kills)
            return Outcome(reply, "forked", time.monotonic() - began, tail(output))

    def replaced(self, error: Exception, kills_before: int | None = None) -> Reply:
        """The reply of a worker whose zygote is lost; another zygote begins to start."""
        self.renew()
        return worker_reply.lost(f"the process that forks workers ended: {error}", kills_before)

    def renew(self) -> None:
        """Begin to start another one in its place. The next fork waits for it.

        All workers of one zygote share a speed (docs/performance.md). Rounds must not share it.
        """
        self.close()
        self._start()

    def close(self) -> None:
        """End the zygote, and with it any worker."""
        self._closing.close()

    def _start(self) -> None:
        """Start the process. If the system gives none, its first job gets the reason."""
        self._hello, self._why_not = None, ""
        try:
            self._output = tempfile.TemporaryFile()  # noqa: SIM115  # `close` closes it
            self._closing.enter_context(self._output)
            self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            self._closing.enter_context(self._socket)
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
        except OSError as error:
            self._why_not = f"it cannot be started: {error.strerror}"
            return
        self._closing.callback(self._end)
        self._closing.callback(self._socket.close)  # comes first: then the process ends

    def _end(self) -> None:
        end(self._process, EXIT_GRACE_SECONDS)

    def _launch(self, request: IO[bytes], timeout: float, tick: Tick, output: IO[bytes]) -> Reply:
        assert self.can_fork
        deadline, oom_kills = time.monotonic() + timeout, worker_reply.oom_kills()
        with worker_reply.pipe() as (read_end, write_end):
            try:
                fds = [request.fileno(), write_end, output.fileno()]
                self._send({"fork": True}, fds)
            finally:
                os.close(write_end)
            try:
                text = worker_reply.receive(read_end, self._socket.fileno(), deadline, tick)
            except BaseException:
                self._stop_worker()
                raise
        if text is None:
            self._stop_worker()
        status = 0 if text is None else self._exit_status()
        return worker_reply.judge(text, status, timeout, oom_kills, tail(output))

    def _stop_worker(self) -> None:
        """End the worker. A zygote that does not answer is replaced: memory may be too short."""
        try:
            self._kill_worker()
        except (HostError, OSError):
            self.renew()

    def _kill_worker(self) -> int:
        self._send({"kill": True})
        return int(self._next_message(ANSWER_SECONDS, "exit")["exit"])

    def _exit_status(self) -> int:
        """The worker's exit status; a worker that replied but lingers is killed."""
        poll = select.poll()
        poll.register(self._socket, select.POLLIN)
        if not poll.poll(EXIT_GRACE_SECONDS * 1000):
            return self._kill_worker()
        return int(self._next_message(ANSWER_SECONDS, "exit")["exit"])

    def _send(self, message: Mapping[str, Any], fds: Sequence[int] = ()) -> None:
        self._socket.settimeout(ANSWER_SECONDS)
        socket.send_fds(self._socket, [json.dumps(message).encode()], fds)

    def _next_message(self, seconds: float, key: str) -> Mapping[str, Any]:
        """The next message, which has a whole number under the key; ZygoteEnded without one."""
        self._socket.settimeout(seconds)
        try:
            packet = self._socket.recv(PACKET_BYTES)
        except TimeoutError:
            raise ZygoteEnded(f"it did not answer within {seconds:g} s") from None
        if not packet:
            self._end()
            raise ZygoteEnded(_last_words(tail(self._output)))
        try:
            message = json.loads(packet)
            int(message[key])
        except (ValueError, TypeError, LookupError, RecursionError):
            raise ZygoteEnded("its message cannot be read") from None
        return dict(message)


class PassLauncher:
    """Spawns memory passes, forks the others if the zygote allows it.

    A forked child's floor is lower than a spawned one's, because file pages of the libraries are
    not mapped in it yet: its resident memory would look too small.

    The zygote starts when it is first needed.
    """

    def __init__(self, spawn: Launcher, start_zygote: Callable[[], ZygoteLauncher]) -> None:
        self._spawn = spawn
        self._start_zygote = start_zygote
        self._zygote: ZygoteLauncher | None = None

    @property
    def zygote(self) -> ZygoteLauncher:
        """The zygote, which is started if none runs yet."""
        if self._zygote is None:
            self._zygote = self._start_zygote()
        return self._zygote

    def renew(self) -> None:
        """Fork from another zygote from now on, which starts when it is first needed.

        A host has a launcher for each allocator. Only one of them may work at a time.
        """
        self.close()

    def close(self) -> None:
        """End the zygote, and with it any worker."""
        if self._zygote is not None:
            self._zygote.close()
            self._zygote = None

    def launch(self, work: Work, timeout: float, tick: Tick) -> Outcome:
        """Start the worker the way that its work needs."""
        began, launcher = time.monotonic(), self._spawn
        try:
            if not work.is_spawned:
                launcher = self.zygote if self.zygote.can_fork else self._spawn
            return launcher.launch(work, timeout, tick)
        except HostError as error:
            reply = self.zygote.replaced(error)
        except OSError as error:  # no process, no memory, no room for its output
            reply = worker_reply.lost(f"a worker cannot be started: {error.strerror}")
        return Outcome(reply, "none", time.monotonic() - began)


def _last_words(output: str) -> str:
    """The line of what a process printed that says most about its end."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    errors = [line for line in lines if re.match(r"\w+(\.\w+)*(Error|Exception)\b", line)]
    return [*lines[-1:], *errors[-1:]][-1] if lines else "it printed nothing"
