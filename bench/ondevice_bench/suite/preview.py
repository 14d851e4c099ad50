"""A plan with what is known of it before anything is measured."""

from dataclasses import dataclass
from typing import Any

from ondevice_bench.suite.planned_cell import PlannedCell


@dataclass(frozen=True)
class PlainStep:
    """A vanilla step of a cell's model: bytes saved and FLOPs; None with the reason.

    `peak_bytes` of tensors are alive at its highest moment: a process needs more than that.
    """

    activation_bytes: int | None
    step_flops: int | None
    reason: str = ""
    peak_bytes: int | None = None


@dataclass(frozen=True)
class CellPreview:
    """A planned cell with what is known of it beforehand.

    Its seconds are those of an earlier run, or estimated: by its own pilot there, and by what the
    passes of other cells took against theirs.
    """

    item: PlannedCell
    plain_step: PlainStep
    seconds: float | None
    is_estimated: bool = False

    def to_dict(self) -> dict[str, Any]:
        """The preview as plain values; null is unknown."""
        return {
            "cell": self.item.cell.id,
            "fingerprint": self.item.cell.fingerprint,
            "profile": self.item.profile,
            "state": self.item.state,
            "reason": self.item.reason,
            "vanilla_activation_bytes": self.plain_step.activation_bytes,
            "vanilla_step_flops": self.plain_step.step_flops,
            "vanilla_peak_bytes": self.plain_step.peak_bytes,
            "vanilla_reason": self.plain_step.reason,
            "known_seconds": None if self.is_estimated else self.seconds,
            "estimated_seconds": self.seconds if self.is_estimated else None,
        }
