"""Torch functions that a method computes in another way, in any network's forward."""

from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode, handle_torch_function, has_torch_function

from ondevice_bench.methods.function_call import is_transformed
from ondevice_bench.methods.method import Method
from ondevice_bench.methods.tensors import is_strided

Rewrite: TypeAlias = Callable[..., Tensor | None]
"""It gets the arguments of the function. It returns None if the function must run as it is."""


class Rewriting(Method):
    """Computes the functions of a table by their rewrites, in modules and in functional calls.

    Functions that save nothing for backward run as they are. The same holds within
    `torch.utils.checkpoint`: its second run, which is in backward, must save the same tensors as
    the first one. And it holds within transforms of `torch.func`.
    """

    _has_run = False
    _has_rewritten = False

    @abstractmethod
    def table(self) -> Mapping[Callable[..., Any], Rewrite]:
        """The functions and their rewrites."""

    @contextmanager
    def packing(self, model: nn.Module) -> Iterator[None]:
        """Rewrite the functions of the block."""
        with _Rewriting(self.table()) as mode:
            yield
        self._has_run = True
        self._has_rewritten = self._has_rewritten or mode.has_rewritten

    def notes(self) -> list[str]:
        """Whether the method had any effect."""
        if self._has_rewritten or not self._has_run:
            return []
        name = type(self).__name__.lower()
        return [f"{name} found no function that it can change, so it had no effect"]


class _Rewriting(TorchFunctionMode):
    def __init__(self, table: Mapping[Callable[..., Any], Rewrite]) -> None:
        super().__init__()
        self._table = table
        self.has_rewritten = False

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        """Run the function or its rewrite."""
        options = kwargs or {}
        rewrite = self._table.get(func)
        if rewrite is not None and _saves(args, options):
            result = rewrite(*args, **options)
            if result is not None:
                self.has_rewritten = True
                return result
        return func(*args, **options)


def run_as(
    name: str, function: type[torch.autograd.Function], x: Tensor, *arguments: Any
) -> Tensor:
    """Apply the autograd function. Other modes see one call of a function with this name."""
    result: Tensor
    if not has_torch_function((x,)):
        result = function.apply(x, *arguments)
        return result

    def apply(*given: Any) -> Any:
        return function.apply(*given)

    apply.__name__ = name
    result = handle_torch_function(apply, (x,), x, *arguments)
    return result


def _saves(args: tuple[Any, ...], options: Mapping[str, Any]) -> bool:
    """Whether the call saves tensors for a backward that belongs to this context."""
    x = args[0] if args else options.get("input")
    return (
        isinstance(x, Tensor)
        and x.requires_grad
        and x.is_floating_point()  # complex numbers have other derivatives
        and torch.is_grad_enabled()
        and x.device.type == "cpu"
        and is_strided(x)
        and not is_transformed()
        and not _is_checkpointed()
    )


def _is_checkpointed() -> bool:
    """Whether `torch.utils.checkpoint` replaces what is saved now, in its first or second run."""
    hooks = torch._C._autograd._top_saved_tensors_default_hooks(True)
    name = "" if hooks is None else getattr(hooks[0], "__qualname__", "")
    return name.startswith(("_checkpoint_hook.", "_recomputation_hook."))
