"""A way to train, and what was measured of it."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from ondevice_bench.stats import Change, Estimate
from ondevice_bench.suite.cell import Cell

# what is known about the cost of a rival, compared with the winner's
Standing = Literal["winner", "near", "open", "worse"]


@dataclass(frozen=True)
class Way:
    """A way to train that meets the limits, as far as that was measured."""

    cell: Cell
    label: str
    standing: Standing
    is_exact: bool
    meets_limits: bool  # false: there was no time to measure the limits
    cost: float | None  # the median of the goal; of one example if batches are compared
    ratio: Change | None  # its cost over the winner's
    estimates: Mapping[str, Estimate]
    cosine: float | None  # the lowest of all moments
    accuracy: Estimate | None  # over seeds; exact methods with the same updates share it
    rate: float | None  # the learning rate that most seeds chose
    rounds: int
    tensor_bytes: int | None  # at the peak, by shapes

    def to_dict(self) -> dict[str, Any]:
        """The way as plain values."""
        return {
            "cell": self.cell.id,
            "label": self.label,
            "standing": self.standing,
            "exact": self.is_exact,
            "limits_measured": self.meets_limits,
            "batch": self.cell.batch,
            "cost": self.cost,
            "ratio": None if self.ratio is None else _ratio(self.ratio),
            "rounds": self.rounds,
            "cosine": self.cosine,
            "accuracy": None if self.accuracy is None else self.accuracy.to_dict(),
            "learning_rate": self.rate,
            "tensor_bytes_by_shapes": self.tensor_bytes,
            "metrics": {name: each.to_dict() for name, each in self.estimates.items()},
        }


def _ratio(ratio: Change) -> dict[str, float | str | None]:
    """A ratio as plain values. The bounds are null if there is no interval yet."""
    has_interval = ratio.upper != math.inf
    return {
        "estimate": ratio.ratio,
        "lower": ratio.lower if has_interval else None,
        "upper": ratio.upper if has_interval else None,
        "direction": ratio.direction,
    }
