"""A meter whose power a command prints, in lines of `seconds watts`."""

import contextlib
import fcntl
import os
import select
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from ondevice_bench.measure.energy import EnergyUnavailable
from ondevice_bench.measure.power_trace import BadReading, PowerTrace, Stalled

FIRST_SECONDS = 10.0  # in which the first reading must come
_END_SECONDS, _LOOK_SECONDS = 1.0, 0.01  # for a command to end that has closed its output
_PIECE = 1 << 16
_MOST_PIECES = 16  # at one mark
_LONGEST_LINE = 1_000
_KEPT_COMPLAINT = 2_000


class PrintedPower:
    """A command that prints a reading again and again until it is ended. No shell runs it."""

    def __init__(
        self,
        command: Sequence[str],
        folder: Path | str | None = None,
        scope: str = "",
        first_seconds: float = FIRST_SECONDS,
    ) -> None:
        self.command = tuple(command)
        self.folder = folder
        self.scope = scope or f"everything that `{' '.join(self.command)}` meters"
        self.first_seconds = first_seconds

    @contextmanager
    def begin(self) -> "Iterator[PrintedJoules]":
        """Start the command, and wait for its first reading; the command ends with the block."""
        metering = PrintedJoules(self)
        try:
            metering.wait_for_a_reading(self.first_seconds)
            yield metering
        finally:
            metering.close()


class PrintedJoules:
    """The readings of a running command. An error is reported when its joules are asked for."""

    def __init__(self, meter: PrintedPower) -> None:
        self._meter = meter
        self._trace = PowerTrace()
        self._rest = b""
        self._complaint = b""
        self._failure = ""
        self._marked = time.perf_counter()
        try:
            self._process = subprocess.Popen(
                meter.command,
                cwd=meter.folder,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,
            )
        except OSError as error:
            raise EnergyUnavailable(
                f"the meter {meter.command[0]} cannot be run: {error.strerror}"
            ) from None
        assert self._process.stdout is not None
        assert self._process.stderr is not None
        self._out, self._err = self._process.stdout.fileno(), self._process.stderr.fileno()
        for descriptor in (self._out, self._err):
            os.set_blocking(descriptor, False)
        with contextlib.suppress(OSError):  # room for the readings of a long step
            fcntl.fcntl(self._out, fcntl.F_SETPIPE_SZ, _PIECE * _MOST_PIECES)

    @property
    def scope(self) -> str:
        """What the command meters, with the interval and the steps of its readings."""
        interval, steps = self._trace.interval, self._trace.resolution
        fine = [f"a reading every {interval:.3g} s"] if interval else []
        fine += [f"in steps of {steps:.3g} W"] if steps else []
        return ", ".join([self._meter.scope, *fine])

    def wait_for_a_reading(self, seconds: float) -> None:
        """Wait for the first reading."""
        end = time.perf_counter() + seconds
        while not len(self._trace) and not self._failure:
            left = end - time.perf_counter()
            if left <= 0:
                self._failure = (
                    f"the meter {self._meter.command[0]} gave no reading within {seconds:g} s "
                    "(it must flush each line)"
                )
                return
            self._wait(left)
            self.mark()

    def mark(self) -> float:
        """Take what was printed so far."""
        self._marked = time.perf_counter()
        if not self._failure:
            self._complaint = (self._complaint + _available(self._err, 1)[0])[-_KEPT_COMPLAINT:]
            printed, has_ended = _available(self._out, _MOST_PIECES)
            self._take(printed, time.perf_counter())
            if has_ended and not self._failure:
                self._failure = self._how_it_ended()
        return self._marked

    def settle(self) -> None:
        """Wait until a reading is from the last mark or later, or until the meter has stalled."""
        marked, end = self._marked, time.perf_counter() + self._trace.longest_gap
        while not self._failure and not self._trace.reaches(marked):
            left = end - time.perf_counter()
            if left <= 0:
                return
            self._wait(left)
            self.mark()

    def tells_of(self, moment: float) -> bool:
        """Whether a reading is from this moment or later, or the meter has ended or stalled."""
        is_late = time.perf_counter() > moment + self._trace.longest_gap
        return bool(self._failure) or is_late or self._trace.reaches(moment)

    @property
    def interval(self) -> float:
        """The usual time between two readings."""
        return self._trace.interval or 0.0

    def joules(self, start: float, end: float) -> float:
        """The integral of the power between two moments."""
        if self._failure:
            raise EnergyUnavailable(self._failure)
        try:
            return self._trace.joules(start, end)
        except Stalled as error:
            raise EnergyUnavailable(str(error)) from None

    def close(self) -> None:
        """End the command and what it started in its own session.

        The command is reaped last: until then no other process can have its number.
        """
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        for stream in (self._process.stdout, self._process.stderr):
            if stream is not None:
                stream.close()
        self._process.wait()

    def _take(self, printed: bytes, arrived: float) -> None:
        *lines, self._rest = (self._rest + printed).split(b"\n")
        try:
            for line in lines:
                self._trace.add(line.decode(errors="replace"), arrived)
            if len(self._rest) > _LONGEST_LINE:
                self._trace.add(self._rest.decode(errors="replace"), arrived)
        except BadReading as error:
            self._failure = str(error)

    def _how_it_ended(self) -> str:
        status = _status_within(self._process.pid, _END_SECONDS)
        self._complaint += _available(self._err, 1)[0]
        last = self._complaint.decode(errors="replace").strip().splitlines()[-1:]
        how = "closed its output" if status is None else f"ended with status {status}"
        return ": ".join([f"the meter {self._meter.command[0]} {how}", *last])

    def _wait(self, seconds: float) -> None:
        poll = select.poll()
        poll.register(self._out, select.POLLIN)
        poll.poll(seconds * 1000)


def _status_within(child: int, seconds: float) -> int | None:
    """How a child has ended, without reaping it; None if it has not ended in this time."""
    end = time.perf_counter() + seconds
    while True:
        found = os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        if found is not None:
            return found.si_status if found.si_code == os.CLD_EXITED else -found.si_status
        if time.perf_counter() > end:
            return None
        time.sleep(_LOOK_SECONDS)


def _available(descriptor: int, pieces: int) -> tuple[bytes, bool]:
    """What a pipe has now, at most this many pieces, and whether its other side is closed."""
    found = b""
    for _ in range(pieces):
        try:
            piece = os.read(descriptor, _PIECE)
        except BlockingIOError:
            return found, False
        if not piece:
            return found, True
        found += piece
    return found, False
