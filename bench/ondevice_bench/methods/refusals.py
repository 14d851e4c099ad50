"""The layers that no method may replace, because something of the user's would be lost."""

from typing import Any

from torch import nn
from torch.nn.parameter import is_lazy
from torch.nn.utils.parametrize import is_parametrized
from torch.utils._python_dispatch import is_traceable_wrapper_subclass

from ondevice_bench.methods.method import LayerMethod

_NEW_WEIGHT = "the method trains other parameters in its place"


def why_not(method: LayerMethod, layer: nn.Module) -> str | None:
    """The reason why the method leaves this layer alone; None if it replaces the layer."""
    return _not_plain(layer) or _loses_weight(method, layer) or method.applies(layer)


def _not_plain(layer: nn.Module) -> str | None:
    """The reason why the layer computes something else than its class says."""
    if is_parametrized(layer):
        return "has a parametrization, which makes its weight or bias from other parameters"
    for name in ("weight", "bias"):
        if name not in layer._parameters:
            makers = "pruning, weight_norm, spectral_norm or other code makes it"
            return f"has a {name} that is no parameter ({makers})"
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
