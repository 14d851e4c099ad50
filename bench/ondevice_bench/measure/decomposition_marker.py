"""Parts of a step that are counted under a name of their own, wherever they run."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_decomposing: ContextVar[bool] = ContextVar("decomposing", default=False)


@contextmanager
def decomposition() -> Iterator[None]:
    """What runs within compresses what is stored; marking it takes a microsecond."""
    token = _decomposing.set(True)
    try:
        yield
    finally:
        _decomposing.reset(token)


def in_decomposition() -> bool:
    """Whether what runs now compresses."""
    return _decomposing.get()
