"""One board and its thread: the board cools down, measures work, and reports every event."""

import threading
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias

from ondevice_bench.errors import BadInput, of_the_system
from ondevice_bench.fleet.fleet_file import Cooling
from ondevice_bench.hardware.state import HardwareState
from ondevice_bench.record.details import Details
from ondevice_bench.record.model import Record, TaskKey
from ondevice_bench.remote.host import BoardLost
from ondevice_bench.running.hosts.host import Host
from ondevice_bench.running.measurer import Earlier, Measurer
from ondevice_bench.sensors.throttling import causes

LOOK_SECONDS = 10.0  # between two checks of a board that is too hot

# done: every task has a record. hot: the board did not cool down. lost: the board does not answer.
# again: the connection failed, but the board is alive. stopped: the user ended the run.
# desk: this machine has a problem, such as a full disk, so no other board can help
How: TypeAlias = Literal["done", "hot", "lost", "again", "stopped", "desk"]


@dataclass(frozen=True)
class Work:
    """A portion of a run for any board of a profile."""

    ticket: str
    round: int
    tasks: tuple[TaskKey, ...]
    measurer: Callable[[Host, Earlier], Measurer]
    known: Mapping[TaskKey, tuple[str, str, Details]]  # earlier tasks that others need


@dataclass(frozen=True)
class Began:
    """A board has taken the work."""

    ticket: str
    board: str


@dataclass(frozen=True)
class Measured:
    """A record has arrived."""

    ticket: str
    board: str
    record: Record


@dataclass(frozen=True)
class Ended:
    """How the work of a ticket ended."""

    ticket: str
    board: str
    how: How
    reason: str = ""


@dataclass(frozen=True)
class Note:
    """A message of a board's host, for example that it connects again."""

    text: str


Event: TypeAlias = Began | Measured | Ended | Note


class Stopped(Exception):
    """The user ends the run."""


class Lane:
    """A board that measures one portion after the other."""

    def __init__(
        self,
        name: str,
        host: Host,
        cooling: Cooling,
        tell: Callable[[Event], None],
        stop: threading.Event,
    ) -> None:
        self.name = name
        self.host = host
        self.unit = host.unit
        self.profile = host.profile.name
        host.tell = lambda text: tell(Note(text))
        self._cooling = cooling
        self._tell = tell
        self._stop = stop
        self._round: int | None = None
        self._problem = ""  # why the board is lost

    def measure(self, work: Work) -> Ended:
        """Measure the work. Every record is reported at once."""
        if self._problem:
            return self._ended(work, "lost", self._problem)
        try:
            self._tick()
            return self._measured(work)
        except Stopped:
            return self._ended(work, "stopped")
        except BoardLost as error:
            self._problem = error.lines[0]
        except BadInput as error:
            return self._ended(work, "desk", error.lines[0])
        except Exception as error:
            if problem := of_the_system(error):
                return self._ended(work, "desk", problem.lines[0])
            last = traceback.extract_tb(error.__traceback__)[-1]
            place = f"{last.filename.rpartition('/')[2]}:{last.lineno}"
            self._problem = f"internal error: {type(error).__name__}: {error} ({place})"
        return self._ended(work, "lost", self._problem)

    def _measured(self, work: Work) -> Ended:
        found = dict(work.known)
        measurer = work.measurer(self.host, found.get)
        cell = ""
        self._tell(Began(work.ticket, self.name))
        for task in work.tasks:
            if task.cell != cell:
                if reason := self._cooled():
                    return self._ended(work, "hot", reason)
                cell = task.cell
            if self._round not in (None, work.round):
                self.host.renew()  # no two rounds of a cell from one process
            self._round = work.round
            prepared = measurer.prepare(task)
            outcome = prepared.launch(self._tick)
            if outcome.is_lost:
                return self._ended(work, "again", outcome.reply.reason)
            after, lost = self._state_after()
            record = measurer.record(prepared, outcome, after)
            details = {**record.details, "unit": self.unit}
            self._tell(Measured(work.ticket, self.name, replace(record, details=details)))
            if lost is not None:
                raise lost
            read = Details.from_dict(details)
            found[task] = record.status, record.reason, read
        return self._ended(work, "done")

    def _state_after(self) -> tuple[Mapping[str, Any], BoardLost | None]:
        """The state of the board after a task, and the error if the board is lost now."""
        try:
            return self.host.state().to_dict(), None
        except BoardLost as lost:
            return {}, lost

    def _ended(self, work: Work, how: How, reason: str = "") -> Ended:
        return Ended(work.ticket, self.name, how, reason)

    def _tick(self) -> None:
        if self._stop.is_set():
            raise Stopped

    def _cooled(self) -> str:
        """Wait until the board is cool and does not throttle. The reason if it stays hot."""
        waited = 0.0
        while reason := too_hot(self.host.state(), self._cooling.celsius):
            if waited >= self._cooling.seconds:
                return f"{reason}, still after {waited:.0f} s"
            pause = min(LOOK_SECONDS, self._cooling.seconds - waited)
            wait_unless(self._stop, pause)
            waited += pause
        return ""


def wait_unless(stop: threading.Event, seconds: float) -> None:
    """Wait; Stopped if the run ends meanwhile."""
    if stop.wait(seconds):
        raise Stopped


def too_hot(state: HardwareState, celsius: float) -> str:
    """Why the board should not measure now; empty if it may."""
    found = causes(state.throttle_bits or 0)
    if found:
        return f"the board throttles: {', '.join(found)}"
    if state.temperature_celsius is not None and state.temperature_celsius > celsius:
        return f"the board has {state.temperature_celsius:.1f} °C, more than {celsius:g} °C"
    return ""
