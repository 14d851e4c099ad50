"""Torch functions that a method computes in another way, in any network's forward."""

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode, handle_torch_function, has_torch_function

Rewrite: TypeAlias = Callable[..., Tensor | None]
"""It gets the arguments of the function. It returns None if the function must run as it is."""


class Rewriting(TorchFunctionMode):
    """In this context, functions of the table are computed by their rewrites.

    Functions that save nothing for backward run as they are. The same holds within
    `torch.utils.checkpoint`: its second run, which is outside of this context, must save the same
    tensors as the first one. And it holds within transforms of `torch.func`.
    """

    def __init__(self, table: Mapping[Callable[..., Any], Rewrite]) -> None:
        super().__init__()
        self._table = table

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        """Run the function or its rewrite."""
        options = kwargs or {}
        rewrite = self._table.get(func)
        if rewrite is not None and _saves(args, options):
            result = rewrite(*args, **options)
            if result is not None:
                return result
        return func(*args, **options)


def run_as(name: str, function: type[torch.autograd.Function], *arguments: Any) -> Tensor:
    """Apply the autograd function. Other modes see one call of a function with this name."""

    def apply(*given: Any) -> Any:
        return function.apply(*given)

    apply.__name__ = name
    tensors = [each for each in arguments if isinstance(each, Tensor)]
    if has_torch_function(tensors):
        result: Tensor = handle_torch_function(apply, tensors, *arguments)  # type: ignore[no-untyped-call]  # torch's stub has no types
        return result
    result = apply(*arguments)
    return result


def _saves(args: tuple[Any, ...], options: Mapping[str, Any]) -> bool:
    """Whether the call saves tensors for a backward that belongs to this context."""
    x = args[0] if args else options.get("input")
    return (
        isinstance(x, Tensor)
        and x.requires_grad
        and torch.is_grad_enabled()
        and x.device.type in ("cpu", "meta")
        and not torch._C._are_functorch_transforms_active()
        and not _is_checkpointed()
    )


def _is_checkpointed() -> bool:
    """Whether `torch.utils.checkpoint` replaces what is saved now."""
    hooks = torch._C._autograd._top_saved_tensors_default_hooks(True)
    return hooks is not None and "_checkpoint_hook" in getattr(hooks[0], "__qualname__", "")
