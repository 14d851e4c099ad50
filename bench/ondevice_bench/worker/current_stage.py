"""The stage of this process's work, for error messages. Standard library only."""

_stage = ["start"]


def enter(stage: str) -> None:
    """Begin a stage."""
    _stage[0] = stage


def now() -> str:
    """The current stage."""
    return _stage[0]
