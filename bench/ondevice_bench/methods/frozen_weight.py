"""Weights that do not train. Their convolutions keep nothing of the input for backward.

torch keeps the input of a convolution even then. For a linear layer it does not.
"""

from typing import Any

import torch
from torch import Tensor, nn

from ondevice_bench.methods.convolution import Geometry
from ondevice_bench.methods.function_call import apply_function, is_transformed, own_precision


class _FrozenConvolution(torch.autograd.Function):
    """Its backward consists of torch's operators alone, so it has a second derivative, too."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, layer: nn.Conv2d
    ) -> Tensor:
        ctx.save_for_backward(weight)
        ctx.geometry, ctx.shape = Geometry.from_layer(layer), tuple(x.shape)
        y: Tensor = layer._conv_forward(x, weight, bias)
        return y

    @staticmethod
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:
        (weight,) = ctx.saved_tensors
        needs_x, _, needs_bias, _ = ctx.needs_input_grad
        with own_precision():
            dx = ctx.geometry.input_gradient(ctx.shape, weight, dy) if needs_x else None
        db = dy.sum((0, 2, 3)) if needs_bias else None
        return dx, None, db, None


def freeze(parameter: Tensor) -> None:
    """Freeze the parameter. An optimizer would apply a gradient of an earlier step."""
    parameter.requires_grad_(False)
    parameter.grad = None


def convolve_frozen(layer: nn.Conv2d, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """The convolution of a batch with a weight that has no gradient, in the layer's geometry.

    Transforms of `torch.func`, and layers that pad with other numbers, get torch's own convolution.
    """
    if is_transformed() or layer.padding_mode != "zeros":
        plain: Tensor = layer._conv_forward(x, weight, bias)
        return plain
    return apply_function(_FrozenConvolution, x, weight, bias, layer)
