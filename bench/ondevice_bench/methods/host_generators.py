"""The random generators of Python and numpy, for code that must draw the same numbers again."""

import contextlib
import random
import sys
from collections.abc import Iterator
from typing import Any, TypeAlias

State: TypeAlias = tuple[Any, ...]


def state() -> State:
    """Of both generators. numpy's counts only if some code has loaded it."""
    return random.getstate(), *_of_numpy()


def _of_numpy() -> State:
    generator = sys.modules.get("numpy.random")
    if generator is None:
        return ()
    kind, keys, *rest = generator.get_state()
    return kind, keys.tobytes(), *rest


@contextlib.contextmanager
def set_back(before: State) -> Iterator[None]:
    """Run the block with the generators as they were, and let them go on afterwards."""
    now = state()
    _set(before)
    try:
        yield
    finally:
        _set(now)


def _set(found: State) -> None:
    of_python, *of_numpy = found
    random.setstate(of_python)
    if of_numpy:
        import numpy  # it is loaded already

        kind, keys, *rest = of_numpy
        given = (kind, numpy.frombuffer(keys, numpy.uint32), *rest)
        sys.modules["numpy.random"].set_state(given)
