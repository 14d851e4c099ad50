"""The batches that fit a board, for each method."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any

LARGEST = 1 << 16  # a search for the largest batch ends here
PEAKS = (
    "estimated: the bytes of all tensors that are alive at the same moment of a step. The memory "
    "of the system, of torch itself and of kernels is the reserve"
)


@dataclass(frozen=True)
class MemoryLimit:
    """The memory of a board, and the part that stays free for the system and torch itself."""

    total_bytes: int
    reserve_bytes: int

    @property
    def usable_bytes(self) -> int:
        """What the tensors of a step may take."""
        return self.total_bytes - self.reserve_bytes


@dataclass(frozen=True)
class FitCurve:
    """The estimated peak of one method against the batch, and the limit of the board.

    `points` are exact, by batch in ascending order. Peaks grow in straight pieces.
    """

    model: str
    method: str
    points: tuple[tuple[int, int], ...]
    limit_bytes: int

    def peak_at(self, batch: float) -> float | None:
        """The peak at a point, or on the line between two points; None outside the points."""
        for (low, low_peak), (high, high_peak) in pairwise(self.points):
            if low <= batch <= high:
                return low_peak + (high_peak - low_peak) * (batch - low) / (high - low)
        return dict(self.points).get(int(batch)) if batch == int(batch) else None


@dataclass(frozen=True)
class Fit:
    """The largest batch that fits with one method, or whether the batch fits that was asked for.

    Without a batch, `reason` says why there is none.
    """

    model: str  # with its options
    method: str  # with its options
    batch: int | None = None
    fits: bool = False
    peak_bytes: int | None = None  # of the step at that batch
    next_bytes: int | None = None  # with one more example; None if that was not computed
    example_flops: float | None = None
    example_seconds: float | None = None  # measured on such a board, if there is a run
    reason: str = ""
    confirmed: Mapping[str, str] | None = None  # by batch, the result of a real run under the cap
    points: tuple[tuple[int, int], ...] = ()  # each exact peak that was computed, by batch


@dataclass(frozen=True)
class BoardFits:
    """What fits a board. `asked` is the batch that was asked for; None: the largest batches.

    The fits are in the order of their table: for each model first vanilla, then what fits best.
    """

    board: str
    limit: MemoryLimit
    asked: int | None
    fits: tuple[Fit, ...]

    @property
    def models(self) -> tuple[str, ...]:
        """The models, in the order in which they were asked for."""
        return tuple(dict.fromkeys(fit.model for fit in self.fits))

    @property
    def any_fits(self) -> bool:
        """Whether one method fits at least."""
        return any(fit.fits for fit in self.fits)

    def of(self, model: str) -> tuple[Fit, ...]:
        """The fits of one model."""
        return tuple(fit for fit in self.fits if fit.model == model)

    def share(self, fit: Fit) -> float | None:
        """The peak as a share of the memory that a step may take on the board."""
        return None if fit.peak_bytes is None else fit.peak_bytes / self.limit.usable_bytes

    def curve(self, fit: Fit) -> FitCurve:
        """The peak of one method against the batch."""
        return FitCurve(fit.model, fit.method, fit.points, self.limit.usable_bytes)

    def to_dict(self) -> dict[str, Any]:
        """The fits as plain values."""
        return {
            "board": self.board,
            "memory_bytes": self.limit.total_bytes,
            "reserve_bytes": self.limit.reserve_bytes,
            "usable_bytes": self.limit.usable_bytes,
            "peaks": PEAKS,
            "batch": self.asked,
            "fits": [{**asdict(fit), "of_the_board": self.share(fit)} for fit in self.fits],
        }


def in_order(fits: tuple[Fit, ...], asked: int | None) -> tuple[Fit, ...]:
    """For each model vanilla, then what fits best, then what has no batch.

    The best is the largest batch, or the lowest peak at the batch that was asked for.
    """
    models = list(dict.fromkeys(fit.model for fit in fits))

    def place(fit: Fit) -> tuple[int, bool, bool, int]:
        best = -(fit.batch or 0) if asked is None else (fit.peak_bytes or 0)
        return models.index(fit.model), fit.method != "vanilla", fit.batch is None, best

    return tuple(sorted(fits, key=place))
