"""The hooks of a loop on its parameters, where a step has several backward passes.

The loop has one backward pass in mind. So a hook must see the gradient of the whole batch, once.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn

from ondevice_bench.errors import Refusal
from ondevice_bench.methods.backward_update import is_updated_in_backward
from ondevice_bench.methods.optimizer_guard import subspace_layers

_OURS = __name__.partition(".")[0] + "."
_Hooks: TypeAlias = dict[int, Callable[..., Any]]


@dataclass(frozen=True)
class _Hooked:
    """A parameter, the dictionary of its hooks, those of the loop, and its gradient before."""

    parameter: nn.Parameter
    registered: _Hooks
    hooks: _Hooks
    before: Tensor | None

    def take_away(self) -> None:
        """Let no hook of the loop run, and no gradient be there."""
        for number in self.hooks:
            del self.registered[number]
        self.parameter.grad = None

    def give_back(self) -> Tensor | None:
        """Undo it, and return the gradient that has come since. Hooks run in their order."""
        found, self.parameter.grad = self.parameter.grad, self.before
        every = sorted({**self.registered, **self.hooks}.items())
        self.registered.clear()
        self.registered.update(every)
        return found

    @torch.no_grad()
    def add(self, gradient: Tensor) -> None:
        """Run the hooks on the gradient, and add what they make of it."""
        for hook in self.hooks.values():
            result = hook(gradient)
            gradient = gradient if result is None else result
        self.parameter.grad = gradient if self.before is None else self.before + gradient


@contextmanager
def run_on_sums(network: nn.Module) -> Iterator[None]:
    """Run the hooks on parameters after the block, on the sum of the gradients of the block.

    A Refusal if this cannot be done. Hooks on factors stay as they are: their layer refuses them.
    """
    factors = {
        id(each)
        for layer in subspace_layers()
        for each in (layer.left, layer.right, layer.pending.norm)
    }
    hooked = []
    for name, parameter in network.named_parameters():
        registered = parameter._backward_hooks or {}
        hooks, later = map(_foreign, (registered, parameter._post_accumulate_grad_hooks or {}))
        if id(parameter) in factors or not (hooks or later):
            continue
        if later or is_updated_in_backward(parameter):
            raise Refusal(
                f"microbatch: {name} has a hook on its gradient, and backward runs for each slice "
                "of the batch: take the hook away, or train without microbatch"
            )
        hooked.append(_Hooked(parameter, registered, hooks, parameter.grad))
    for each in hooked:
        each.take_away()
    sums: list[Tensor | None] = []
    try:
        yield
    finally:
        sums += [each.give_back() for each in hooked]
    for each, found in zip(hooked, sums, strict=True):
        if found is not None:
            each.add(found)


def _foreign(hooks: Mapping[int, Callable[..., Any]]) -> _Hooks:
    """The hooks that other code than this package has registered."""
    return {
        number: hook
        for number, hook in hooks.items()
        if not (getattr(getattr(hook, "func", hook), "__module__", None) or "").startswith(_OURS)
    }
