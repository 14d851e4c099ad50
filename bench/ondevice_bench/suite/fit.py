"""What fits a board, by method."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Fit:
    """What fits for one method; without a batch, the reason why nothing does."""

    method: str  # with its options
    batch: int | None = None
    peak_bytes: int | None = None  # of the step at that batch
    next_bytes: int | None = None  # one example more; None at the largest batch looked at
    example_flops: float | None = None
    example_seconds: float | None = None  # as measured on such a board, where anybody has
    reason: str = ""
    confirmed: Mapping[str, str] | None = None  # by batch, what really happened under the cap

    def to_dict(self) -> dict[str, Any]:
        """The fit as plain values."""
        return asdict(self)
