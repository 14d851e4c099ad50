"""A marker for the parts of a step that compress, so that their FLOPs are counted separately."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_decomposing: ContextVar[bool] = ContextVar("decomposing", default=False)


@contextmanager
def decomposition() -> Iterator[None]:
    """Mark the block as compression of stored tensors. The marker costs a microsecond."""
    token = _decomposing.set(True)
    try:
        yield
    finally:
        _decomposing.reset(token)


def in_decomposition() -> bool:
    """Whether the current code runs inside such a block."""
    return _decomposing.get()
