"""Optimizers that cannot train a treated network are refused when they step.

Such an optimizer holds the factors of a subspace update, or parameters that a method updates in
another way, but is not that of the treatment. Or it was made before `treat` or before `merge`, so
it holds weights that no longer train, and not the parameters that do.

torch calls the check before every step of any optimizer. The check reads the parameters of an
optimizer one time, and again after the next `treat` or if it holds more parameters.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary, ref

from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.optimizer import register_optimizer_step_pre_hook
from torch.utils.weak import WeakTensorKeyDictionary

from ondevice_bench.errors import Refusal

# layers that update their factors by a subspace update, in order
_subspace: WeakKeyDictionary[Any, None] = WeakKeyDictionary()
_replaced: WeakTensorKeyDictionary = WeakTensorKeyDictionary()
_updated_by_ours: WeakTensorKeyDictionary = WeakTensorKeyDictionary()  # by which method
_checked: WeakKeyDictionary[Optimizer, tuple[int, int]] = WeakKeyDictionary()
_count = [0]  # of changes to what is guarded
_TREAT = "treat()"


class WrongOptimizer(Refusal):
    """The optimizer does not train the parameters of a treated network."""


@dataclass(frozen=True)
class _Replaced:
    """The layer that has replaced another, by weak reference, and the names of what it trains."""

    name: str
    layer: Callable[[], nn.Module | None]
    new: tuple[str, ...]
    what: str  # what the optimizer holds, in words
    after: str  # the call after which the optimizer must be made

    def is_trained(self, held: frozenset[int]) -> bool:
        """Whether an optimizer with these parameters trains a new one of the layer."""
        layer = self.layer()
        return layer is not None and any(id(layer.get_parameter(name)) in held for name in self.new)


class TreatmentOptimizer(Optimizer):
    """An optimizer of ours. It knows the updates of its own treatment."""

    def makes_update_of(self, parameter: Tensor) -> bool:
        """Whether it makes the update that the method has for this parameter."""
        raise NotImplementedError

    def makes_subspace_update_of(self, layer: nn.Module) -> bool:
        """Whether it updates the factors of this layer."""
        raise NotImplementedError


def guard_subspace(layer: nn.Module) -> None:
    """Refuse optimizers that hold factors of this layer, but do not know its subspace update."""
    _subspace[layer] = None
    _begin()


def subspace_layers() -> Iterator[Any]:
    """All layers that are guarded so, of all networks. Each has `left`, `right` and `pending`."""
    return iter(list(_subspace))


def guard_replaced(plain: nn.Module, layer: nn.Module, name: str) -> None:
    """Refuse optimizers that hold the weight of `plain`, but no new parameter of `layer`."""
    kept = {id(each) for each in plain.parameters()}
    new = tuple(each for each, parameter in layer.named_parameters() if id(parameter) not in kept)
    what = "the weight that the method has replaced"
    replaced = _Replaced(name, ref(layer), new, what, _TREAT)
    _replaced[plain.get_parameter("weight")] = replaced
    _begin()


def guard_merged(layer: nn.Module, merged: nn.Module, name: str) -> None:
    """Refuse optimizers that hold parameters which `merge` has taken away, but not the weight."""
    if "weight" not in merged._parameters:
        return
    kept = {id(each) for each in merged.parameters()}
    what = "parameters that merge() has taken away"
    for parameter in layer.parameters():
        if id(parameter) not in kept:
            _replaced[parameter] = _Replaced(name, ref(merged), ("weight",), what, "merge()")
            _begin()


def guard_update(parameter: Tensor, method: str) -> None:
    """Refuse optimizers that hold this parameter, but do not know the update of the method."""
    if parameter not in _updated_by_ours:
        _updated_by_ours[parameter] = method
        _begin()


def release_update(parameter: Tensor) -> None:
    """Any optimizer may train the parameter again."""
    _updated_by_ours.pop(parameter, None)


def release(weight: Tensor) -> None:
    """The weight trains again."""
    _replaced.pop(weight, None)


def _begin() -> None:
    if not _count[0]:
        register_optimizer_step_pre_hook(_check)
    _count[0] += 1


def _check(optimizer: Optimizer, *_: Any) -> None:
    number = sum(len(group["params"]) for group in optimizer.param_groups)
    state = _count[0], number
    if _checked.get(optimizer) == state:
        return
    parameters = list(_parameters(optimizer))
    held = frozenset(id(parameter) for parameter in parameters)
    is_final = True
    own = optimizer if isinstance(optimizer, TreatmentOptimizer) else None
    for parameter in parameters:
        replaced = _replaced.get(parameter)
        if replaced is not None:
            _require_trained(replaced, parameter, held)
            is_final = is_final and not parameter.requires_grad  # it may get a gradient later
        method = _updated_by_ours.get(parameter)
        if method is not None and not (own and own.makes_update_of(parameter)):
            raise WrongOptimizer(
                f"{method}: this optimizer does not know the update of the method. Use the one "
                "that Treatment.optimizer returns"
            )
    others = [
        layer for layer in subspace_layers() if not (own and own.makes_subspace_update_of(layer))
    ]
    touched = [layer for layer in others if not held.isdisjoint(_of_subspace(layer))]
    for layer in touched:
        if layer.left.requires_grad:
            raise WrongOptimizer(
                f"{layer.pending.name}: this optimizer cannot make a subspace update. Use the one "
                f"that Treatment.optimizer returns, or {layer.pending.otherwise}"
            )
    if is_final and not touched:  # factors that are frozen now may train later
        _checked[optimizer] = state


def _require_trained(replaced: _Replaced, weight: Tensor, held: frozenset[int]) -> None:
    """A Refusal if the optimizer does not train what is there now, or trains the weight, too."""
    if not replaced.is_trained(held):
        raise WrongOptimizer(
            f"{replaced.name}: this optimizer holds {replaced.what}. Make the optimizer after "
            f"{replaced.after}"
        )
    if replaced.after == _TREAT and weight.grad is not None and bool(weight.grad.any()):
        raise WrongOptimizer(
            f"{replaced.name}: another network trains {replaced.what}, so they share no weight any "
            "more: leave the layer as it is, or use a method that keeps the weight"
        )


def _of_subspace(layer: Any) -> tuple[int, ...]:
    return id(layer.left), id(layer.right), id(layer.pending.norm)


def _parameters(optimizer: Optimizer) -> Iterator[Tensor]:
    for group in optimizer.param_groups:
        yield from group["params"]
