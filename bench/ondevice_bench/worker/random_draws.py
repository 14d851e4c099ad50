"""Whether a training forward draws random numbers, in a module of dropout or in a function."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

_SHARE = "dropout_p"  # fused attention draws only if this is not 0


class _Draws(TorchDispatchMode):
    """Notes whether an operator draws."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # torch has no types here
        self.found = False

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        """Run the operator."""
        options = kwargs or {}
        self.found = self.found or _may_draw(func, args, options)
        return func(*args, **options)


def draws(forward: Callable[[], Any]) -> bool:
    """Whether this forward draws; True if it fails, because nobody knows then."""
    seen = _Draws()
    with torch.no_grad(), torch.random.fork_rng(devices=[]), seen:
        try:
            forward()
        except Exception:
            seen.found = True
    return seen.found


def _may_draw(func: Any, args: tuple[Any, ...], options: Mapping[str, Any]) -> bool:
    names = [each.name for each in func._schema.arguments]
    given = {**dict(zip(names, args, strict=False)), **options}
    share = given.get(_SHARE, 0) if _SHARE in names else 1
    return bool(torch.Tag.nondeterministic_seeded in func.tags and share)
