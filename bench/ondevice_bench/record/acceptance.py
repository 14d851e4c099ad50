"""A change of a metric that somebody accepted, as a line in the file of a baseline."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Acceptance:
    """A metric of a cell may have these values from now on: who says so, and why.

    An exact metric has one value. A noisy one has a value for each process.
    """

    cell: str
    metric: str
    values: tuple[float, ...]
    by: str
    because: str

    @property
    def text(self) -> str:
        """Who accepted it, and why."""
        return f"accepted by {self.by}: {self.because}"
