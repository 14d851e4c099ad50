"""What the parent asks of a worker, and what the worker answers. Standard library only."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, TypeAlias

from ondevice_bench.protocol.turns import Turns
from ondevice_bench.suite.cell import Cell, Value
from ondevice_bench.suite.suite import Sampling

# where a method is implemented, and its options
MethodCall: TypeAlias = tuple[str, Mapping[str, Value]]
# kind of weights ("random", "spectrum", "file"), decay of their spectrum, path of their file
WeightsCall: TypeAlias = Mapping[str, Any]
# the ranks of one layer: {"activation": [8, 16, 32], "weight": 64 or null}
RankNumbers: TypeAlias = Mapping[str, Any]


@dataclass(frozen=True)
class Job:
    """One pass over one cell, complete: a worker reads nothing else but batch and weights."""

    cell: Cell
    pass_name: str
    model: str  # where it is implemented
    model_options: Mapping[str, Value]
    methods: tuple[MethodCall, ...]
    layout: Mapping[str, str] | None  # None: as the user's file says, or guessed
    inputs: Mapping[str, Any]
    batch_path: str
    weights: WeightsCall
    sampling: Sampling
    cpus: tuple[int, ...]
    asked_ns: int
    ranks: Mapping[str, RankNumbers] | None = None
    examples: Mapping[str, str] | None = None  # files of those to learn from and those held out
    memory_cap: int | None = None  # bytes that the process may allocate
    turns: Turns | None = None  # a time pass that steps in turn with another
    step: Mapping[str, Any] | None = None  # a step of the user's own, as `own_step.OwnStep` has it

    def to_text(self) -> str:
        """The job as one line of JSON."""
        return json.dumps({**asdict(self), "cell": self.cell.to_dict()})

    @staticmethod
    def from_text(text: str) -> "Job":
        """The inverse of `to_text`."""
        values = json.loads(text)
        values["cell"] = Cell.from_dict(values["cell"])
        values["sampling"] = Sampling(**values["sampling"])
        values["cpus"] = tuple(values["cpus"])
        values["turns"] = Turns(**values["turns"]) if values["turns"] else None
        values["methods"] = tuple((path, options) for path, options in values["methods"])
        return Job(**values)


@dataclass(frozen=True)
class Findings:
    """What a pass found; `unavailable` says why a metric could not be had here."""

    metrics: Mapping[str, float] = field(default_factory=dict)
    samples: Mapping[str, list[float]] = field(default_factory=dict)
    unavailable: Mapping[str, str] = field(default_factory=dict)
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Reply:
    """A worker's answer: findings, or the reason why there are none."""

    status: str
    reason: str = ""
    traceback: str = ""
    findings: Findings = Findings()

    def to_text(self) -> str:
        """The reply as one line of JSON; its newline tells the parent that it is whole."""
        return json.dumps(asdict(self)) + "\n"

    @staticmethod
    def from_text(text: str) -> "Reply":
        """The inverse of `to_text`."""
        values = json.loads(text)
        values["findings"] = Findings(**values["findings"])
        return Reply(**values)
