"""Questions about the user's code, which the parent sends to a worker. Standard library only."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, TypeAlias

from ondevice_bench.protocol.job import Job


@dataclass(frozen=True)
class Questions:
    """Requests of one kind, which one process answers: the key `answers` in its result's details.

    `ondevice_bench.worker.questions` has the kinds.
    """

    kind: str
    requests: Sequence[Mapping[str, Any]]
    cpus: tuple[int, ...]

    memory_cap: ClassVar[int | None] = None  # nothing is measured

    @property
    def is_spawned(self) -> bool:
        """Whether nothing else is asked in the same command, so that a zygote is of no use."""
        return self.kind == "conformance"

    def to_text(self) -> str:
        """The questions as one line of JSON."""
        return json.dumps(asdict(self))


# what a worker reads from its standard input
Work: TypeAlias = Job | Questions


def work_from_text(text: str) -> Work:
    """The inverse of `to_text`, of jobs and of questions."""
    values = json.loads(text)
    if "kind" in values:
        return Questions(**{**values, "cpus": tuple(values["cpus"])})
    return Job.from_text(text)
