"""What a metric is, and which roles it can have. Standard library only."""

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

    def to_dict(self) -> dict[str, Any]:
        """The descriptor as plain values."""
        return asdict(self)
