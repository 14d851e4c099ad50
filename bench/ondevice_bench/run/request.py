"""What a run is asked to do: a suite's plan on this machine, and with what."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ondevice_bench.hardware.doctor import Finding, examine
from ondevice_bench.hardware.probe import Machine, probe
from ondevice_bench.hardware.profile import Profile, recognise
from ondevice_bench.hardware.state import allowed_cpus, read_state
from ondevice_bench.run.boards import boards, this_board
from ondevice_bench.run.commit import current_commit
from ondevice_bench.suite.board import Board
from ondevice_bench.suite.plan import plan
from ondevice_bench.suite.planned_cell import PlannedCell
from ondevice_bench.suite.suite import Suite


@dataclass(frozen=True)
class Request:
    """What a run is asked to do."""

    suite: Suite
    plan: tuple[PlannedCell, ...]
    profile: Profile
    machine: Machine
    commit: str
    command: str
    origin: str = "run"
    fresh: bool = False
    retry: frozenset[str] = frozenset()
    memory_cap: int | None = None  # bytes, where the user asks for less than the profile
    budget: float | None = None  # seconds
    interleaved: bool = True  # rounds take turns between the cells
    findings: tuple[Finding, ...] = ()  # what the doctor says of the machine before the run

    @property
    def board(self) -> Board:
        """This machine, as plans know it."""
        return this_board(self.profile, self.machine, self.memory_cap)

    @property
    def cpus(self) -> tuple[int, ...]:
        """The processors of each worker."""
        return self.profile.cpus_on(allowed_cpus())

    @property
    def threads(self) -> int:
        """The threads of each worker."""
        return self.profile.threads_on(self.machine, allowed_cpus())

    @property
    def cap(self) -> int | None:
        """Bytes that a worker may allocate: the profile's cap, or the user's where it is lower."""
        caps = [cap for cap in (self.memory_cap, self.profile.memory_cap_bytes) if cap is not None]
        return min(caps, default=None)

    @property
    def settings(self) -> dict[str, Any]:
        """How it is measured; no part of any fingerprint."""
        suite = self.suite
        return {
            "measure": list(suite.measure),
            "rounds": dict(suite.rounds),
            "time": asdict(suite.sampling),
            "timeout": suite.timeout,
            "baseline": suite.baseline,
            "cpus": list(self.cpus),
            "memory_cap_bytes": self.cap,
        }

    @property
    def definition(self) -> str:
        """A hash of what is to be measured and how: an unfinished run goes on only if equal."""
        cells = [
            (item.cell.id, item.cell.fingerprint, item.profile, item.state) for item in self.plan
        ]
        text = json.dumps([cells, self.settings], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


def request(
    suite: Suite,
    command: str,
    hardware: str | None = None,
    filters: Sequence[str] = (),
    memory_cap: int | None = None,
) -> Request:
    """The suite as this machine takes it, whose profile is named or recognised."""
    machine = probe()
    profile = recognise(machine, hardware)
    here = this_board(profile, machine, memory_cap)
    return Request(
        suite=suite.on(here.names),
        plan=plan(suite, here, boards(), filters),
        profile=profile,
        machine=machine,
        commit=current_commit(Path.cwd()),
        command=command,
        memory_cap=memory_cap,
        findings=examine(profile, read_state(), profile.threads_on(machine, allowed_cpus())),
    )
