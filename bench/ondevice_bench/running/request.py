"""What a run measures: the plan of a suite on a host."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ondevice_bench import metrics
from ondevice_bench.errors import BadInput
from ondevice_bench.hardware.finding import DoctorFinding
from ondevice_bench.metrics.descriptor import METER
from ondevice_bench.passes import SUSTAINED
from ondevice_bench.record.origin import RUN
from ondevice_bench.running.boards import boards
from ondevice_bench.running.commit import current_commit
from ondevice_bench.running.hosts.host import Host
from ondevice_bench.specs.registry import OwnCode
from ondevice_bench.suite.plan import plan
from ondevice_bench.suite.planned_cell import PlannedCell
from ondevice_bench.suite.suite import Suite

# the passes that use the meter of the profile
_METERED = {metric.pass_name for metric in metrics.ALL if metric.scope == METER}


def refuse_both(*, fresh: bool, retry: bool) -> None:
    """A run is new, or goes on."""
    if fresh and retry:
        raise BadInput(
            "`fresh` starts a new run, `retry` repeats part of the last one: give one of them"
        )


@dataclass(frozen=True)
class Request:
    """A suite, its plan, and the host that measures it."""

    suite: Suite
    plan: tuple[PlannedCell, ...]
    host: Host
    commit: str
    command: str
    origin: str = RUN
    fresh: bool = False
    # also continue a finished run, and a run whose plan has cells in common with this plan
    extends: bool = False
    retry: frozenset[str] = frozenset()
    budget: float | None = None  # seconds
    interleaved: bool = True  # rounds take turns between the cells
    of_any_unit: bool = False  # boards of one kind share the run; each record names its unit
    findings: tuple[DoctorFinding, ...] = ()  # what the doctor says of the machine before the run
    own_code: OwnCode | None = None  # of its tree, if another tree has code of the same names

    @property
    def planned(self) -> tuple[PlannedCell, ...]:
        """The cells that the host measures."""
        return tuple(item for item in self.plan if item.state == "planned")

    @property
    def machine(self) -> dict[str, Any]:
        """What the run says of the machine that measures."""
        identity = self.host.identity
        if self.of_any_unit:
            identity.pop("unit", None)
        return identity

    @property
    def settings(self) -> dict[str, Any]:
        """How the run measures; no part of any fingerprint."""
        suite, limit = self.suite, self.host.memory_limit
        power = self.host.profile.declared.power if _METERED & set(suite.measure) else None
        return {
            "measure": list(suite.measure),
            "rounds": dict(suite.rounds),
            "time": asdict(suite.sampling),
            "timeout": suite.timeout,
            **({"sustain": suite.sustain} if SUSTAINED in suite.measure else {}),
            "baseline": suite.baseline,
            "cpus": list(self.host.cpus),
            "memory_cap_bytes": self.host.memory_cap,
            **({"memory_limit_bytes": limit} if limit is not None else {}),
            **({"power": power.to_yaml()} if power is not None else {}),
        }

    @property
    def definition(self) -> str:
        """A hash of plan and settings; an unfinished run goes on only if it is equal."""
        return self.definition_under(self.host.profile.name)

    def definition_under(self, profile: str) -> str:
        """The definition if the host had this profile."""
        own = self.host.profile.name
        cells = [
            (
                item.cell.id,
                item.cell.fingerprint,
                profile if item.profile == own else item.profile,
                item.state,
            )
            for item in self.plan
        ]
        text = json.dumps([cells, self.settings], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


def request(host: Host, suite: Suite, command: str, filters: Sequence[str] = ()) -> Request:
    """The suite as the host measures it."""
    return Request(
        suite=suite.on(host.board.names),
        plan=plan(suite, host.board, boards(), filters),
        host=host,
        commit=current_commit(Path.cwd()),
        command=command,
        findings=host.findings(),
    )
