"""The hooks of a loop on its parameters, where a step has several backward passes.

The loop has one backward pass in mind. So a hook must see the gradient of the whole batch, once.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from ondevice_bench.errors import Refusal
from ondevice_bench.methods.backward_update import is_updated_in_backward
from ondevice_bench.methods.optimizer_guard import subspace_layers

_OURS = __name__.partition(".")[0] + "."
_Hooks = dict[int, Callable[..., Any]]


@contextmanager
def run_on_sums(network: nn.Module) -> Iterator[None]:
    """Run the hooks on parameters after the block, on the sum of the gradients of the block.

    A Refusal if this cannot be done. Hooks on factors stay as they are: their layer refuses them.
    """
    factors = {id(each) for layer in subspace_layers() for each in (layer.left, layer.right)}
    held: list[tuple[Tensor, _Hooks, Tensor | None]] = []
    for name, parameter in network.named_parameters():
        hooks, later = (
            _foreign(each)
            for each in (parameter._backward_hooks, parameter._post_accumulate_grad_hooks)
        )
        if id(parameter) in factors or not (hooks or later):
            continue
        if later or is_updated_in_backward(parameter):
            raise Refusal(
                f"microbatch: {name} has a hook on its gradient, and backward runs for each slice "
                "of the batch: take the hook away, or train without microbatch"
            )
        held.append((parameter, hooks, parameter.grad))
    for parameter, hooks, _ in held:
        _take_away(parameter, hooks)
        parameter.grad = None
    sums: list[Tensor | None] = [None] * len(held)
    try:
        yield
        sums = [parameter.grad for parameter, *_ in held]
    finally:
        for parameter, hooks, before in held:
            parameter.grad = before
            _give_back(parameter, hooks)
    for (parameter, hooks, before), found in zip(held, sums, strict=True):
        if found is not None:
            changed = _changed(found, hooks)
            parameter.grad = changed if before is None else before + changed


@torch.no_grad()
def _changed(gradient: Tensor, hooks: _Hooks) -> Tensor:
    for hook in hooks.values():
        result = hook(gradient)
        gradient = gradient if result is None else result
    return gradient


def _foreign(hooks: Any) -> _Hooks:
    """Those that the package has not registered itself."""
    return {
        number: hook
        for number, hook in (hooks or {}).items()
        if not (getattr(getattr(hook, "func", hook), "__module__", None) or "").startswith(_OURS)
    }


def _take_away(parameter: Tensor, hooks: _Hooks) -> None:
    for number in hooks:
        del parameter._backward_hooks[number]


def _give_back(parameter: Tensor, hooks: _Hooks) -> None:
    """In their order: autograd runs them so."""
    own = dict(parameter._backward_hooks)
    parameter._backward_hooks.clear()
    parameter._backward_hooks.update(sorted({**own, **hooks}.items()))
