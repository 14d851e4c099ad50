"""The records: frozen, checked in their constructors, free of SQL."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, cast, get_args

Status = Literal["ok", "failed", "timeout", "oom", "skipped"]
_STATUSES = get_args(Status)
NOT_OK: frozenset[Status] = frozenset({"failed", "timeout", "oom"})  # it ran, without a result
# settings that are those of the latest command; a run that went on also has the first ones
OF_COMMAND = ("goal", "doctor", "budget_seconds")
BEGUN_WITH = "begun_with"


def status_of(text: str) -> Status:
    """`text` as a status; ValueError if it is not a status."""
    if text not in _STATUSES:
        raise ValueError(f"no status: {text!r}")
    return cast(Status, text)


@dataclass(frozen=True)
class TaskKey:
    """One process of a run: the key of its record. Rounds count from 1."""

    cell: str
    pass_name: str
    round: int


@dataclass(frozen=True)
class Record:
    """The measurements of one process, or the reason why there are none."""

    run: str
    key: TaskKey
    status: Status
    reason: str
    launch: str
    started: str
    seconds: float
    metrics: Mapping[str, float] = field(default_factory=dict)
    samples: Mapping[str, list[float]] = field(default_factory=dict)
    unavailable: Mapping[str, str] = field(default_factory=dict)
    details: Mapping[str, Any] = field(default_factory=dict)
    state_before: Mapping[str, Any] = field(default_factory=dict)
    state_after: Mapping[str, Any] = field(default_factory=dict)
    output: str = ""

    def __post_init__(self) -> None:
        status_of(self.status)
        if self.key.round < 1:
            raise ValueError(f"rounds count from 1, got {self.key.round}")
        if self.status != "ok" and not self.reason:
            raise ValueError(f"a record that is {self.status} needs a reason")
        if self.status != "ok" and self.metrics:
            raise ValueError(f"a record that is {self.status} has no metrics")

    @property
    def unit(self) -> str:
        """The board that measured it, in a run of a fleet; else empty."""
        return str(self.details.get("unit") or "")


@dataclass(frozen=True)
class Run:
    """One run: its suite, machine and settings. It resumes only with an equal `definition`."""

    id: str
    suite: str
    suite_text: str
    title: str
    definition: str
    origin: str
    created: str
    commit: str
    profile: str
    profile_text: str
    machine: Mapping[str, Any]
    software: Mapping[str, Any]
    settings: Mapping[str, Any]
    command: str
    finished: str | None = None

    @property
    def unit(self) -> str:
        """The mark of its machine among others of its kind; empty if the run does not know it."""
        return str(self.machine.get("unit") or "")

    @property
    def as_begun(self) -> "Run":
        """The run with the settings of its first command: these never change."""
        if BEGUN_WITH not in self.settings:
            return self
        later = {BEGUN_WITH, *OF_COMMAND}
        kept = {name: value for name, value in self.settings.items() if name not in later}
        return replace(self, settings={**kept, **self.settings[BEGUN_WITH]})

    def going_on(self, asked: Mapping[str, Any]) -> "Run":
        """The run with these settings of a later command."""
        settings = {**self.settings, **asked}
        if settings == self.settings:
            return self
        first = {name: self.settings[name] for name in OF_COMMAND if name in self.settings}
        return replace(self, settings={BEGUN_WITH: first, **settings})
