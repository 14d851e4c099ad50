"""Where this process is in its work, so that what stops it can say where. Standard library only."""

_entered = ["start"]


def enter(stage: str) -> None:
    """From now on the process does that."""
    _entered[0] = stage


def now() -> str:
    """What the process does."""
    return _entered[0]
