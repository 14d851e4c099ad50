"""Why a layer stays as it is: its kind, its method, or something of the user's would be lost."""

from collections.abc import Mapping, Sequence
from typing import Any

from torch import nn
from torch.nn.parameter import is_lazy
from torch.nn.utils.parametrize import is_parametrized
from torch.utils._python_dispatch import is_traceable_wrapper_subclass

from ondevice_bench.errors import Refusal
from ondevice_bench.methods.method import LayerMethod, ReplacementLayer
from ondevice_bench.models.layers import kind_of

NOT_IN_TABLE = "has no trained rank in the table of its model"
_TREATED = "methods treat Linear and Conv2d"
NOT_CALLED = "sees no input: the network reads its weight itself, or does not use it"
_SHOWN = 3
_NEW_WEIGHT = "the method trains other parameters in its place"


def why_not(method: LayerMethod, layer: nn.Module) -> str | None:
    """The reason why the method leaves this layer alone; None if it replaces the layer."""
    return _not_plain(layer) or _loses_weight(method, layer) or method.applies(layer)


def _not_plain(layer: nn.Module) -> str | None:
    """The reason why the layer computes something else than its class says."""
    if is_parametrized(layer):
        return "has a parametrization, which makes its weight or bias from other parameters"
    if isinstance(layer, ReplacementLayer) and "weight" not in layer._parameters:
        return "is a layer of an earlier treat(), which trains other parameters"
    for name in ("weight", "bias"):
        if name not in layer._parameters:
            makers = "pruning, weight_norm, spectral_norm or other code makes it"
            return f"has a {name} that is not a parameter ({makers})"
    weight: Any = layer.get_parameter("weight")  # torch's types exclude the subclasses
    if is_lazy(weight):
        return "has no values yet: send a batch through the network first"
    if is_traceable_wrapper_subclass(weight):
        return f"has a weight of the class {type(weight).__name__}, which may compute another way"
    if not weight.is_floating_point():
        return (
            f"has a weight of the type {weight.dtype}; only real floating-point types are treated"
        )
    if getattr(layer.forward, "__func__", None) is not type(layer).forward:
        return "has a `forward` of its own, which may compute something else"
    if layer._backward_hooks and not layer._is_full_backward_hook:
        return "has a hook of `register_backward_hook`: use `register_full_backward_hook`"
    return None


def _loses_weight(method: LayerMethod, layer: nn.Module) -> str | None:
    """The reason why the weight must stay a parameter that trains."""
    if method.keeps_weight:
        return None
    weight = layer.get_parameter("weight")
    if not weight.requires_grad:
        return f"is frozen, and {_NEW_WEIGHT}"
    if weight._backward_hooks or weight._post_accumulate_grad_hooks:
        return f"has a hook on its weight, and {_NEW_WEIGHT}"
    return None


def shared_weights(module: nn.Module) -> dict[str, str]:
    """Layers that share their weight with another module. A replacement would untie the two.

    A layer that is registered under two names is one module.
    """
    paths: dict[int, list[str]] = {}
    for name, owner in module.named_modules():
        for own, parameter in owner.named_parameters(recurse=False, remove_duplicate=False):
            paths.setdefault(id(parameter), []).append(f"{name}.{own}".removeprefix("."))
    shared = {}
    for name, owner in module.named_modules():
        path = f"{name}.weight".removeprefix(".")
        others = [o for o in paths.get(id(owner._parameters.get("weight")), ()) if o != path]
        if others:
            shared[name] = f"shares its weight with {others[0]}"
    return shared


def parts_of_replaced(module: nn.Module) -> dict[str, str]:
    """Layers within a layer of an earlier `treat`, which reads their weights itself."""
    return {
        f"{name}.{part}".removeprefix("."): "is a part of a layer that treat() has replaced already"
        for name, owner in module.named_modules()
        if isinstance(owner, ReplacementLayer)
        for part, _ in owner.named_modules()
        if part
    }


def applies_to_none(method: str, refusals: Mapping[str, str]) -> Refusal:
    """The method leaves every chosen layer unchanged. The text has the first reasons."""
    lines = [f"{name or 'the network'} {why}" for name, why in refusals.items()]
    more = f"; and {len(lines) - _SHOWN} more" if len(lines) > _SHOWN else ""
    reasons = "; ".join(lines[:_SHOWN]) or f"the network has no matrix as weight ({_TREATED})"
    return Refusal(f"{method} applies to none of the chosen layers: {reasons}{more}")


def require_values(network: nn.Module, method: str) -> None:
    """A Refusal if a parameter of the network gets its values in the first forward only."""
    for name, parameter in network.named_parameters():
        if is_lazy(parameter):
            raise Refusal(
                f"{method}: {name} has no values yet: send a batch through the network first"
            )


def made_by_others(layer: str, parameter: str) -> Refusal:
    """Before `merge`: other code has put something else in the place of the parameter."""
    return Refusal(
        f"{layer}: since treat(), other code makes its {parameter} (pruning, weight_norm, a "
        "parametrization): take this away before merge()"
    )


def of_no_known_kind(module: nn.Module, names: Sequence[str]) -> dict[str, str]:
    """The reason for each of these modules, which no method treats."""
    return {name: f"is a {kind_of(module.get_submodule(name))} ({_TREATED})" for name in names}
