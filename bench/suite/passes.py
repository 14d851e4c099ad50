"""The passes over a cell, and how often each is worth a process."""

PASSES = ("memory", "trace", "time")

# exact figures: one process tells all there is to know
_ONCE = frozenset({"trace"})


def rounds_of(pass_name: str, rounds: int) -> int:
    """How many rounds of a run take that pass."""
    return 1 if pass_name in _ONCE else rounds
