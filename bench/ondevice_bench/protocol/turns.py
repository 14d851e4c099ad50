"""The part of a worker that steps in turn with another worker."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Turns:
    """Where a worker hears and speaks, whether it begins, and how many steps it takes.

    `hears` and `speaks` are channels of the host on which both workers run.
    """

    hears: str
    speaks: str
    is_first: bool
    steps: int
