"""Our autograd functions have a first derivative only. A second one is refused."""

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeAlias

import torch
from torch import Tensor

from ondevice_bench.errors import Refusal
from ondevice_bench.methods.function_call import own_precision

Backward: TypeAlias = Callable[[Any, Tensor], Any]


class NoSecondDerivative(Refusal):
    """The caller asked for gradients that can be differentiated again."""


def first_derivative(backward: Backward) -> Backward:
    """Refuse to run this backward with `create_graph=True`. `ctx.layer` has a `name`."""

    @wraps(backward)
    def checked(ctx: Any, dy: Tensor) -> Any:
        if torch.is_grad_enabled():
            raise NoSecondDerivative(
                f"{ctx.layer.name}: the method has no second derivative (`create_graph=True`)"
            )
        with own_precision():
            return backward(ctx, dy)

    return checked
