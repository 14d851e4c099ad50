"""A plan with the numbers that exist before anything is measured."""

from dataclasses import dataclass
from typing import Any

from ondevice_bench.suite.planned_cell import PlannedCell


@dataclass(frozen=True)
class PlainStep:
    """A vanilla step of a cell's model: bytes saved and FLOPs. If they are None, `reason` says why.

    `peak_bytes` is the size of all tensors alive at the peak. A process needs more than that.
    """

    activation_bytes: int | None
    step_flops: int | None
    reason: str = ""
    peak_bytes: int | None = None


@dataclass(frozen=True)
class CellPreview:
    """A planned cell with the numbers that exist before it is measured.

    Its seconds are those of an earlier run, or an estimate. The estimate uses the cell's own pilot
    in an earlier run, and the ratio of the passes of other cells to their pilots.
    """

    item: PlannedCell
    plain_step: PlainStep
    seconds: float | None
    is_estimated: bool = False

    def to_dict(self) -> dict[str, Any]:
        """The preview as plain values; unknown numbers are null."""
        return {
            "cell": self.item.cell.id,
            "fingerprint": self.item.cell.fingerprint,
            "allocator": self.item.cell.allocator or None,
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
