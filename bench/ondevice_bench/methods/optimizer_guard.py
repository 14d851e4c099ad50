"""Optimizers that cannot train a treated network are refused when they step.

torch calls the check before every step of any optimizer. The check reads the parameters of an
optimizer one time, and again after the next `treat`.
"""

from collections.abc import Iterator
from typing import Any
from weakref import WeakKeyDictionary, WeakSet

from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.optimizer import register_optimizer_step_pre_hook
from torch.utils.weak import WeakTensorKeyDictionary

from ondevice_bench.errors import Refusal

_subspace_layers: WeakSet[nn.Module] = WeakSet()
_replaced: WeakTensorKeyDictionary = WeakTensorKeyDictionary()
_checked: WeakKeyDictionary[Optimizer, int] = WeakKeyDictionary()
_count = [0]  # of changes to what is guarded


class WrongOptimizer(Refusal):
    """The optimizer holds parameters that it cannot train, or that are in the network no more."""


def guard_subspace(layer: nn.Module) -> None:
    """Refuse optimizers that hold this layer's factors, but know no subspace update."""
    _subspace_layers.add(layer)
    _begin()


def guard_replaced(weight: Tensor, name: str) -> None:
    """Refuse optimizers that hold this weight, because the layer in its place has another."""
    _replaced[weight] = name
    _begin()


def _begin() -> None:
    if not _count[0]:
        register_optimizer_step_pre_hook(_check)
    _count[0] += 1


def _check(optimizer: Optimizer, *_: Any) -> None:
    if _checked.get(optimizer) == _count[0]:
        return
    held = set()
    for parameter in _parameters(optimizer):
        held.add(id(parameter))
        if parameter in _replaced:
            raise WrongOptimizer(
                f"{_replaced[parameter]}: this optimizer trains a weight that the method has "
                "replaced. Make the optimizer after treat()"
            )
    if not getattr(optimizer, "updates_subspaces", False):
        for layer in _subspace_layers:
            if id(layer.gradient_norm) in held:
                raise WrongOptimizer(
                    f"{layer.name}: this optimizer cannot make a subspace update. Use the one that "
                    "Treatment.optimizer returns, or `update: factors`"
                )
    _checked[optimizer] = _count[0]


def _parameters(optimizer: Optimizer) -> Iterator[Tensor]:
    for group in optimizer.param_groups:
        yield from group["params"]
