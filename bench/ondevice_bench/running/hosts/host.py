"""The machine on which workers run, and what they may use of it.

Everything that starts a worker gets a host. A host takes a job and gives a reply. It keeps to
itself how a process is started and where a file lies, so that a board over the network can be one.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self

from ondevice_bench.hardware.finding import DoctorFinding
from ondevice_bench.hardware.probe import Machine
from ondevice_bench.hardware.profile import Profile
from ondevice_bench.hardware.state import HardwareState
from ondevice_bench.protocol.job import Job, Reply
from ondevice_bench.protocol.turns import Turns
from ondevice_bench.suite.board import Board
from ondevice_bench.units import GIB

# a question that a process of its own answers, because it runs the user's code or needs torch
Question = Literal["describe", "mixes", "batch", "account", "conformance"]
Tick = Callable[[], None]
Tell = Callable[[str], None]


def no_tick() -> None:
    """Do nothing while a worker measures."""


def nobody(text: str) -> None:
    """Drop the text."""


class HostError(Exception):
    """The host cannot start a worker; the text says why."""


class NoAnswer(Exception):
    """A process ended without an answer to a question; the text says how."""


@dataclass(frozen=True)
class Outcome:
    """How a worker ended; `output` is the end of what it printed."""

    reply: Reply
    launch: str
    seconds: float
    output: str = ""
    is_lost: bool = False  # the connection failed, not the worker: another host may measure it

    @property
    def printed(self) -> str:
        """What the worker printed, and the traceback of its reply."""
        return "\n".join(part for part in (self.output, self.reply.traceback) if part)


def board_of(
    machine: Machine,
    profile: Profile,
    cap: int | None,
    missing_allocators: Mapping[str, str],
) -> Board:
    """The machine as a plan sees it; a process may use all its memory, or as much as the cap."""
    gib: float = machine.memory_gib if cap is None else min(machine.memory_gib, cap / GIB)
    return Board(profile.name, profile.lineage, gib, profile.allocator, missing_allocators)


def lowest_cap(profile: Profile, cap: int | None) -> int | None:
    """The bytes that a worker may allocate: the profile's cap, or this one if it is lower."""
    return lowest(cap, profile.memory_cap_bytes)


def lowest(*limits: int | None) -> int | None:
    """The lowest of these limits; None if there is none."""
    return min((each for each in limits if each is not None), default=None)


class TurnTaking(ABC):
    """Two workers of one machine that step in turn."""

    parts: tuple[Turns, Turns]

    @abstractmethod
    def run(
        self, one: Callable[[], Outcome], other: Callable[[Tick], Outcome]
    ) -> tuple[Outcome, Outcome]:
        """Run both at once; a side that ends early wakes the other.

        The other's tick raises when the one was interrupted.
        """


class Host(ABC):
    """A machine, its profile, and what a worker may use of it."""

    machine: Machine
    profile: Profile
    cpus: tuple[int, ...]  # the processors of a worker
    threads: int  # the threads of a worker
    memory_cap: int | None  # the bytes that a worker may allocate
    memory_limit: int | None = None  # the bytes that control groups allow
    missing_allocators: Mapping[str, str]  # why a worker cannot have them, by name
    unit = ""  # a mark of this one machine among others of its kind, for machines on a network
    tell: Tell = staticmethod(nobody)  # gets messages, for example that the host connects again

    @property
    def board(self) -> Board:
        """This host as a plan sees it."""
        bound = lowest(self.memory_cap, self.memory_limit)
        return board_of(self.machine, self.profile, bound, self.missing_allocators)

    @property
    def identity(self) -> dict[str, Any]:
        """The machine with the worker's threads: what a record says of where it was measured."""
        unit = {"unit": self.unit} if self.unit else {}
        return {**self.machine.to_dict(), "threads": self.threads, **unit}

    @abstractmethod
    def findings(self) -> tuple[DoctorFinding, ...]:
        """What disturbs measurements here, as far as it shows at once."""

    @abstractmethod
    def state(self) -> HardwareState:
        """The load, memory, clock and temperature now."""

    def caches_kib(self) -> Mapping[int, int]:
        """The data caches of a processor, by level; empty if they are not known."""
        return {}

    @abstractmethod
    def software(self) -> Mapping[str, Any]:
        """What workers compute with; HostError if none can start."""

    @abstractmethod
    def put(self, path: Path) -> str:
        """Bring a file of this side to the host; the answer is where a worker finds it."""

    def code(self, implementation: str) -> str:
        """Bring the user's file behind `FILE.py:NAME` to the host, with the files it imports.

        The answer is the implementation as a worker finds it: here, where it lies.
        """
        return implementation

    @abstractmethod
    def run(self, job: Job, timeout: float, tick: Tick = no_tick) -> Outcome:
        """Run the job in a process of its own; never raise for what happens in the worker."""

    @abstractmethod
    def ask(
        self, question: Question, requests: Sequence[Mapping[str, Any]], timeout: float
    ) -> list[dict[str, Any]]:
        """Have a new process answer each request; NoAnswer if it does not.

        The `path` of a request is a file of this side that the answer writes.
        """

    @abstractmethod
    def renew(self) -> None:
        """Start later workers from a new process, because workers of one share a speed."""

    @abstractmethod
    def take_turns(self, steps: int) -> AbstractContextManager[TurnTaking]:
        """Let two workers of this machine take this number of steps each, in turn."""

    @abstractmethod
    def close(self) -> None:
        """End every process."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
