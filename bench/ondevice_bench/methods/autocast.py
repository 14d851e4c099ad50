"""Our layers under `torch.autocast`: they compute in the type in which plain layers would."""

from typing import Any

import torch
from torch import Tensor

_DEVICE = "cpu"
_CAST = {torch.float32, torch.float16, torch.bfloat16}


def apply(function: type[torch.autograd.Function], *arguments: Any) -> Tensor:
    """Apply the function. Under autocast it gets its tensors in autocast's type.

    The casts stand before the function. So autograd gives every parameter a gradient in the
    parameter's type, and the function meets one type in forward and in backward.
    """
    if not torch.is_autocast_enabled(_DEVICE):
        return function.apply(*arguments)  # type: ignore[no-any-return]  # torch's stub has no types
    dtype = torch.get_autocast_dtype(_DEVICE)
    cast = [
        each.to(dtype) if isinstance(each, Tensor) and each.dtype in _CAST else each
        for each in arguments
    ]
    with torch.autocast(_DEVICE, enabled=False):
        return function.apply(*cast)  # type: ignore[no-any-return]  # torch's stub has no types
