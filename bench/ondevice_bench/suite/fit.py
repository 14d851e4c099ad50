"""The largest batch that fits a board, for each method."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Fit:
    """The largest batch that fits with one method. Without a batch, `reason` says why none fits."""

    method: str  # with its options
    batch: int | None = None
    peak_bytes: int | None = None  # of the step at that batch
    next_bytes: int | None = None  # with one more example; None at the largest batch that was tried
    example_flops: float | None = None
    example_seconds: float | None = None  # measured on such a board, if there is a run
    reason: str = ""
    confirmed: Mapping[str, str] | None = None  # by batch, the result of a real run under the cap

    def to_dict(self) -> dict[str, Any]:
        """The fit as plain values."""
        return asdict(self)
