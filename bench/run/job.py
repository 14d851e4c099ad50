"""What the parent asks of a worker, and what the worker answers. Standard library only."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from bench.suite.cell import Cell, Value
from bench.suite.suite import Sampling


@dataclass(frozen=True)
class Job:
    """One pass over one cell, complete: a worker reads nothing else but the batch."""

    cell: Cell
    pass_name: str
    model_module: str
    model_options: Mapping[str, Value]
    method_module: str
    method_options: Mapping[str, Value]
    inputs: Mapping[str, int]
    batch_path: str
    sampling: Sampling
    cpus: tuple[int, ...]
    asked_ns: int

    def to_text(self) -> str:
        """The job as one line of JSON."""
        return json.dumps({**asdict(self), "cell": self.cell.to_json()})

    @staticmethod
    def from_text(text: str) -> "Job":
        """The inverse of `to_text`."""
        values = json.loads(text)
        values["cell"] = Cell.from_json(values["cell"])
        values["sampling"] = Sampling(**values["sampling"])
        values["cpus"] = tuple(values["cpus"])
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
