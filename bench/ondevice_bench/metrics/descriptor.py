"""What a metric is, and which roles and scopes it can have. Standard library only."""

from dataclasses import asdict, dataclass
from typing import Any, Literal

Kind = Literal["exact", "noisy"]
Role = Literal[
    "headline",  # first in every table, in the histories, and board by board
    "table",  # a column of the page's table of cells
    "compared",  # judged between runs although it is noisy; exact metrics always are
    "goal",  # `goal: {minimise: NAME}` may name it
    "axis",  # a choice for the axes of the page's free plot
    "scope",  # a column of the page's table of ratios
    "learning",  # a column of the terminal's table on training
    "carried",  # in the `extra_info` of pytest-benchmark's rows
    "step line",  # in the line that `bench_step` prints
]
# metrics with the same whole are drawn as one stack of bars
Whole = Literal["peak", "step", "resident tensors", "activations"]

# scopes: what a number is of
CHANGED_LAYERS = "changed layers"
CHOSEN_LAYERS = "chosen layers"  # also those of them that the method leaves as they are
NETWORK = "whole network"
PROCESS = "process"
MACHINE = "whole machine"  # other programs count, too
METER = "what the meter meters"  # a note of the record says what that is


@dataclass(frozen=True)
class Metric:
    """A number that describes a cell.

    Exact metrics are compared by equality. Noisy ones are compared by interval and threshold.
    """

    name: str
    label: str  # its short name, in tables and plots
    title: str
    unit: str
    kind: Kind
    scope: str
    pass_name: str
    threshold: float = 0.0  # a smaller change is noise; a share of the value
    negligible: float = 0.0  # ratios take a smaller value as this one: a count may be 0
    lower_is_better: bool = True
    of_kernels: bool = False  # other kernels give another value for the same work
    roles: tuple[Role, ...] = ()
    phrase: str = ""  # its name in a sentence, if that is not the label
    part_of: Whole | None = None
    colour: str = ""  # of its bar in the stack

    @property
    def noun(self) -> str:
        """The name in a sentence."""
        return self.phrase or self.label

    def is_better(self, before: float, after: float) -> bool:
        """Whether a change from `before` to `after` is an improvement."""
        return after < before if self.lower_is_better else after > before

    def for_ratio(self, value: float) -> float:
        """The value as ratios take it: a count of 0 has none."""
        return max(value, self.negligible) if self.negligible else value

    def ratio_note(self, *values: float) -> str:
        """What a reader must know of a ratio of these values; often nothing."""
        least = f"{self.negligible:g}"
        is_as_measured = all(self.for_ratio(value) == value for value in values)
        return "" if is_as_measured else f"values below {least} count as {least}"

    def to_dict(self) -> dict[str, Any]:
        """The descriptor as plain values."""
        return asdict(self)
