"""What a suite's report looks for. Standard library only."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from ondevice_bench import metrics

GOALS = metrics.with_role("goal")


@dataclass(frozen=True)
class Goal:
    """The least of one metric, among methods whose gradient and peak are good enough."""

    minimise: str = "step_seconds"  # one of `GOALS`
    min_cosine: float = 0.9  # after ten steps; not asked of methods that are exact
    max_peak_bytes: int | None = None  # over the runtime floor
    max_slowdown: float | None = None  # of a step, against the baseline

    def to_dict(self) -> dict[str, Any]:
        """The goal as plain values."""
        return asdict(self)

    @staticmethod
    def from_dict(values: Mapping[str, Any]) -> "Goal":
        """The inverse of `to_dict`, whatever a newer version may have added."""
        known = {name: values[name] for name in Goal.__dataclass_fields__ if name in values}
        return Goal(**known)
