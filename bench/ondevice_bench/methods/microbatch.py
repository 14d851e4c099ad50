"""Microbatches: the batch in slices, their gradients accumulated before one update."""

from ondevice_bench.methods.method import Method


class Microbatch(Method):
    """Exact, unless a batch-norm trains: each slice has its own statistics."""

    def __init__(self, *, slices: int) -> None:
        self.slices = slices
