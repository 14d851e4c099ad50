"""The desk's end of the pipe to a board: a process and its three streams. Every wait ends.

The process is `ssh`, or in tests the far side itself. It has a session of its own, so that Ctrl-C
in the terminal reaches only this process. The end of its error output is kept.
"""

import os
import select
import subprocess
import time
from collections.abc import Mapping, Sequence
from typing import IO, Any

from ondevice_bench.protocol.frames import MARK, BadFrame, Frame, packed, read_frame
from ondevice_bench.running.hosts.host import Tick, no_tick
from ondevice_bench.running.hosts.processes import end, ends_within

TICK_SECONDS = 1.0
STALL_SECONDS = 60.0  # the longest wait until the network takes bytes, or a message is complete
END_SECONDS = 10.0  # for the far side to clean up
MOST_NOISE = 1 << 16  # bytes that a shell may print before the far side speaks
KEPT_ERRORS = 1 << 14
_READ_BYTES = 1 << 20


class LinkLost(Exception):
    """The connection ended, or its bytes are no frames. The text says how."""


class Link:
    """A running process that leads to a board."""

    def __init__(self, words: Sequence[str], environment: Mapping[str, str] | None = None) -> None:
        self._process = subprocess.Popen(
            words,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment,
            bufsize=0,
            start_new_session=True,
        )
        self._in, self._out, self._errors = map(
            _unblocked, (self._process.stdin, self._process.stdout, self._process.stderr)
        )
        self._received, self._printed = bytearray(), bytearray()
        self._is_open = {self._out: True, self._errors: True}

    @property
    def printed(self) -> str:
        """The end of what the process printed about errors."""
        return self._printed.decode(errors="replace")

    @property
    def status(self) -> int | None:
        """How the process ended, if it has."""
        return self._process.returncode

    @property
    def is_open(self) -> bool:
        """Whether bytes are ready, or more may come."""
        return bool(self._received) or self._is_open.get(self._out, False)

    def send(self, values: Mapping[str, Any], content: bytes = b"") -> None:
        """Send a frame."""
        try:
            data = packed(values, content)
        except BadFrame as error:
            raise LinkLost(str(error)) from None
        self.send_bytes(data)

    def send_bytes(self, data: bytes) -> None:
        """Send bytes, as fast as the network takes them."""
        rest, deadline = memoryview(data), time.monotonic() + STALL_SECONDS
        while rest:
            if self._pump(deadline, is_sending=True):
                try:
                    rest = rest[os.write(self._in, rest[: 1 << 16]) :]
                except BlockingIOError:
                    continue
                except OSError:
                    self._read_what_is_left()
                    raise LinkLost(self.how_it_ended()) from None
                deadline = time.monotonic() + STALL_SECONDS
            elif time.monotonic() > deadline:
                raise LinkLost(f"the connection took no bytes for {STALL_SECONDS:g} s")

    def receive(self, seconds: float, tick: Tick = no_tick) -> Frame:
        """The next frame, which must begin within this time."""
        deadline = time.monotonic() + seconds

        def read(count: int) -> bytes:
            nonlocal deadline
            while len(self._received) < count:
                if not self._is_open[self._out]:
                    raise LinkLost(self.how_it_ended())
                if time.monotonic() > deadline:
                    raise LinkLost("the board does not answer any more")
                self._pump(deadline)
                tick()
            deadline = max(deadline, time.monotonic() + STALL_SECONDS)
            taken = bytes(self._received[:count])
            del self._received[:count]
            return taken

        try:
            return read_frame(read)
        except BadFrame as error:
            raise LinkLost(str(error)) from None

    def skip_to_mark(self, seconds: float) -> None:
        """Leave out what a shell printed before the far side spoke."""
        deadline = time.monotonic() + seconds
        while MARK not in self._received:
            if len(self._received) > MOST_NOISE:
                raise LinkLost("what answers is not bench: it prints without end")
            if not self._is_open[self._out]:
                raise LinkLost(self.how_it_ended())
            if time.monotonic() > deadline:
                raise LinkLost(f"nothing answered within {seconds:g} s")
            self._pump(deadline)
        del self._received[: self._received.index(MARK) + len(MARK)]

    def read_line(self, seconds: float) -> bytes:
        """The next line, or what came before the end; LinkLost if it takes too long."""
        deadline = time.monotonic() + seconds
        while b"\n" not in self._received:
            if not self._is_open[self._out]:
                if not self._received:
                    raise LinkLost(self.how_it_ended())
                break
            if len(self._received) > MOST_NOISE:
                raise LinkLost("it prints a line without end")
            if time.monotonic() > deadline:
                raise LinkLost("the board does not answer any more")
            self._pump(deadline)
        line, _, rest = bytes(self._received).partition(b"\n")
        self._received = bytearray(rest)
        return line

    def end_of_input(self) -> None:
        """Tell the far side that nothing more comes."""
        if self._in >= 0:
            os.close(self._in)
            self._in = -1

    def close(self, seconds: float = END_SECONDS) -> None:
        """End the conversation: the far side ends all that it started, then the process ends."""
        self.end_of_input()
        deadline = time.monotonic() + seconds
        while any(self._is_open.values()) and time.monotonic() < deadline:
            self._pump(deadline)
            self._received.clear()
        self.kill(max(0.0, deadline - time.monotonic()))

    def kill(self, grace: float = 0.0) -> None:
        """End the process, whatever the far side does."""
        self.end_of_input()
        end(self._process, grace)
        for descriptor in self._is_open:
            os.close(descriptor)
        self._is_open = {}

    def _pump(self, deadline: float, *, is_sending: bool = False) -> bool:
        """Wait for something to arrive, at most a second; whether the process takes bytes."""
        poll = select.poll()
        for descriptor, is_open in self._is_open.items():
            if is_open and (descriptor != self._out or len(self._received) < _READ_BYTES * 128):
                poll.register(descriptor, select.POLLIN)
        if is_sending:
            poll.register(self._in, select.POLLOUT)
        wait = max(0.0, min(TICK_SECONDS, deadline - time.monotonic()))
        ready = dict(poll.poll(wait * 1000))
        for descriptor in (self._out, self._errors):
            if descriptor in ready:
                self._read(descriptor)
        return self._in in ready

    def _read(self, descriptor: int) -> None:
        try:
            chunk = os.read(descriptor, _READ_BYTES)
        except BlockingIOError:
            return
        except OSError:
            chunk = b""
        if not chunk:
            self._is_open[descriptor] = False
        elif descriptor == self._out:
            self._received += chunk
        else:
            self._printed += chunk
            del self._printed[:-KEPT_ERRORS]

    def _read_what_is_left(self) -> None:
        deadline = time.monotonic() + TICK_SECONDS
        while any(self._is_open.values()) and time.monotonic() < deadline:
            self._pump(deadline)

    def how_it_ended(self) -> str:
        """The last line that the process printed about errors."""
        self._read_what_is_left()
        if ends_within(self._process, TICK_SECONDS):
            self.kill()  # for its status
        lines = [line.strip() for line in self.printed.splitlines() if line.strip()]
        return [*lines[-1:], "the connection ended"][0]


def _unblocked(stream: IO[bytes] | None) -> int:
    """The descriptor of a pipe, which never waits from now on; the caller closes it."""
    assert stream is not None
    descriptor = os.dup(stream.fileno())
    stream.close()
    os.set_blocking(descriptor, False)
    return descriptor
