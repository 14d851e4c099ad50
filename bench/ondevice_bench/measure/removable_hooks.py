"""Hooks of modules and of tensors that stay for the time of a block."""

import contextlib
from collections.abc import Iterable, Iterator

from torch.utils.hooks import RemovableHandle


@contextlib.contextmanager
def hooked(hooks: Iterable[RemovableHandle]) -> Iterator[None]:
    """Make these hooks, and remove them at the end of the block."""
    made = list(hooks)
    try:
        yield
    finally:
        for hook in made:
            hook.remove()
