"""The goal of a suite: the metric by which its report chooses a method. Standard library only."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from ondevice_bench import metrics

GOALS = metrics.with_role("goal")


@dataclass(frozen=True)
class Goal:
    """The lowest value of one metric, among methods with a good gradient and a small peak."""

    minimise: str = "step_seconds"  # one of `GOALS`
    min_cosine: float = 0.9  # the lowest of all moments; exact methods need none
    max_peak_bytes: int | None = None  # over the runtime floor
    max_slowdown: float | None = None  # of a step, as a multiple of the baseline's

    def to_dict(self) -> dict[str, Any]:
        """The goal as plain values."""
        return asdict(self)

    @staticmethod
    def from_dict(values: Mapping[str, Any]) -> "Goal":
        """The inverse of `to_dict`. It ignores keys of newer versions."""
        fields = {name: values[name] for name in Goal.__dataclass_fields__ if name in values}
        return Goal(**fields)
