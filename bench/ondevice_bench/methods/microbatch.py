"""Microbatches: the batch in k slices, their gradients accumulated before one update."""


class Microbatch:
    """Exact, except where a batch-norm trains: each slice has statistics of its own."""

    def __init__(self, *, slices: int = 2) -> None:
        if slices < 1:
            raise ValueError(f"slices must be at least 1, got {slices}")
        self.slices = slices
