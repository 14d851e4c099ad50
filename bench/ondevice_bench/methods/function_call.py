"""How a layer calls its autograd function in networks of other people."""

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor

from ondevice_bench.errors import Refusal
from ondevice_bench.methods.tensors import is_strided

_DEVICE = "cpu"
_CAST = {torch.float32, torch.float16, torch.bfloat16}


def apply_function(function: type[torch.autograd.Function], *arguments: Any) -> Tensor:
    """Apply the function. Under `torch.autocast` it gets its tensors in autocast's type.

    The casts stand before the function. So autograd gives every parameter a gradient in the
    parameter's type, and the function meets one type in forward and in backward. The output is no
    view, so the next operation may change it in place.

    Modes of torch do not see the calls within the function. A decomposition has many calls, and a
    mode takes time for each of them.
    """
    if is_transformed():
        layer = arguments[-1]
        raise Refusal(
            f"{layer.name}: the method cannot run within a transform of torch.func (grad, vmap): "
            "call backward, or torch.autograd.grad"
        )
    if not is_strided(arguments[0]):
        raise Refusal(
            f"{arguments[-1].name}: the input is a nested or sparse tensor: methods treat layers "
            "with ordinary tensors only"
        )
    with torch._C.DisableTorchFunction():
        return _applied(function, *arguments)


def _applied(function: type[torch.autograd.Function], *arguments: Any) -> Tensor:
    if not torch.is_autocast_enabled(_DEVICE):
        return without_view(function.apply(*arguments))
    dtype = torch.get_autocast_dtype(_DEVICE)
    cast = [
        each.to(dtype) if isinstance(each, Tensor) and each.dtype in _CAST else each
        for each in arguments
    ]
    with own_precision():
        return without_view(function.apply(*cast))


def own_precision() -> AbstractContextManager[Any]:
    """A context in which products have the type of their tensors, also within `torch.autocast`.

    A loop may run backward and `step()` there. torch's own optimizers compute no product.
    """
    if torch.is_autocast_enabled(_DEVICE):
        return torch.autocast(_DEVICE, enabled=False)
    return nullcontext()


def is_transformed() -> bool:
    """Whether a transform of `torch.func` runs. It cannot run our autograd functions."""
    return torch._C._are_functorch_transforms_active()


def without_view(y: Tensor) -> Tensor:
    """The same storage, but no view. A view that a function returns cannot be changed in place."""
    return y if y._base is None else torch.ops.aten._unsafe_view(y, y.shape)
