"""The layer of a method that replaces a plain one."""

from dataclasses import dataclass

import torch
from torch import nn

from ondevice_bench.methods.carry_over import Carried, carry_over
from ondevice_bench.methods.compressed_input import without_bytes
from ondevice_bench.methods.method import InputRule, LayerMethod, ReplacementLayer
from ondevice_bench.methods.optimizer_guard import guard_replaced, release
from ondevice_bench.methods.ranks import RankChoice
from ondevice_bench.methods.refusals import made_by_others


@dataclass(frozen=True)
class Replacement:
    """A layer of a method, and what is needed to report on it and to take it back."""

    method: LayerMethod
    plain: nn.Module  # without storage: a dense weight must not stay alive here
    layer: ReplacementLayer
    choice: RankChoice
    carried: Carried
    weight: str | None  # the name of the plain layer's weight in `layer`; None if it has none
    parameters: tuple[str, ...]  # of `layer`, by name
    typed: str | None  # the first parameter of `layer` in the type of the plain layer's weight

    @property
    def dtype(self) -> torch.dtype:
        """The type of the layer. Other code may have converted the network since `treat`."""
        parameters = dict(self.layer.named_parameters())
        found = None if self.typed is None else parameters.get(self.typed)
        return (self.plain.get_parameter("weight") if found is None else found).dtype

    def require_mergeable(self, name: str) -> None:
        """A Refusal if other code has changed a parameter, or put something else in its place."""
        for each in self.parameters:
            owner, _, own = each.rpartition(".")
            module = self.layer.get_submodule(owner)
            if own not in module._parameters:
                raise made_by_others(name, own)
        self.layer.require_mergeable()


def replaced(method: LayerMethod, plain: nn.Module, choice: RankChoice, name: str) -> Replacement:
    """With the method's layer, or a ValueError if the layer breaks a promise of its method.

    If there is an error, the plain layer stays as it was.
    """
    trained = {each: each.requires_grad for each in plain.parameters()}
    try:
        return _replaced(method, plain, choice, name)
    except BaseException:
        for parameter, trains in trained.items():
            release(parameter)
            parameter.requires_grad_(trains)
        raise


def _replaced(method: LayerMethod, plain: nn.Module, choice: RankChoice, name: str) -> Replacement:
    weight = dict(plain.named_parameters(recurse=False)).get("weight")
    trains = weight is not None and weight.requires_grad
    layer = method.replace(plain, choice, name)
    who = type(method).__name__
    if not isinstance(layer, ReplacementLayer):
        raise ValueError(
            f"{name}: {who}.replace() must return a ReplacementLayer, not a {type(layer).__name__}"
        )
    layer.inputs = InputRule(name, isinstance(plain, nn.Conv2d), method.reference is not None)
    if method.keeps_weight and weight is not None:
        has_it = any(weight is parameter for parameter in layer.parameters())
        if not has_it or weight.requires_grad != trains:
            raise ValueError(
                f"{name}: {who} says keeps_weight, but its layer does not train the weight of the "
                "layer that it replaces"
            )
    if not method.keeps_weight and weight is not None:
        guard_replaced(plain, layer, name)
    before = [each for each, _ in layer.named_parameters()]
    carried = carry_over(plain, layer, name)
    held = None if weight is None else _name_of(weight, layer)
    # tensors of the user have moved out of a plain layer that the new one holds
    names = tuple(each for each in before if each in dict(layer.named_parameters()))
    kind = None if weight is None else weight.dtype
    typed = next((each for each in names if layer.get_parameter(each).dtype == kind), None)
    return Replacement(method, without_bytes(plain), layer, choice, carried, held, names, typed)


def _name_of(weight: nn.Parameter, layer: nn.Module) -> str | None:
    """The name of this very parameter, or `weight` if the layer has its own in the same shape."""
    for name, parameter in layer.named_parameters():
        if parameter is weight:
            return name
    own = dict(layer.named_parameters(recurse=False)).get("weight")
    return "weight" if own is not None and own.shape == weight.shape else None


def put(root: nn.Module, old: nn.Module, new: nn.Module) -> nn.Module:
    """`root` with `new` under every name that `old` has in it."""
    if root is old:
        return new
    places = [
        (parent, name)
        for parent in root.modules()
        for name, child in parent._modules.items()
        if child is old
    ]
    for parent, name in places:
        setattr(parent, name, new)
    return root
