"""The part of a worker that takes turns with another worker, step by step."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Turns:
    """The two channels of a worker, whether it begins, and its number of steps.

    `hears` and `speaks` are channels of the host on which both workers run.
    """

    hears: str
    speaks: str
    is_first: bool
    steps: int
