"""One linear layer or convolution as a network, with the gradients that it has inside of one.

The layer gets its input as from a layer before it, and passes the gradient of this input on. The
loss is the inner product of the output and a tensor of the batch. So the gradient of the output is
this tensor, divided by the number of examples.
"""

from typing import Any

import torch
from torch import Tensor, nn

from ondevice_bench.models.weights import initialise_convolutional

_LAYERS = {"conv2d": nn.Conv2d, "linear": nn.Linear}


class _LayerBefore(torch.autograd.Function):
    """A new tensor with the values of `x`. Its gradient is computed, and then dropped."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, trained: Tensor) -> Tensor:
        return x.clone()

    @staticmethod
    def backward(ctx: Any, dy: Tensor) -> tuple[None, None]:
        return None, None


class _InnerProduct(torch.autograd.Function):
    """The mean over the examples of the inner product of two tensors. It stores the second one."""

    @staticmethod
    def forward(ctx: Any, y: Tensor, factors: Tensor) -> Tensor:
        ctx.save_for_backward(factors)
        return torch.dot(y.flatten(), factors.flatten()) / len(factors)

    @staticmethod
    def backward(ctx: Any, dloss: Tensor) -> tuple[Tensor, None]:
        (factors,) = ctx.saved_tensors
        return factors * (dloss / len(factors)), None


class SingleLayer(nn.Module):
    """The layer, behind a copy of the batch that autograd takes for an activation."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer
        self._trained = torch.zeros((), requires_grad=True)  # no parameter: nothing updates it

    def forward(self, x: Tensor) -> Tensor:
        """The output of the layer."""
        if torch.is_grad_enabled():
            x = _LayerBefore.apply(x, self._trained)  # type: ignore[no-untyped-call]  # torch has no types here
        y: Tensor = self.layer(x)
        return y


def construct(kind: str, **arguments: Any) -> SingleLayer:
    """The network with its weights unset."""
    return SingleLayer(_LAYERS[kind](**arguments))


def loss(model: nn.Module, batch: Any) -> Tensor:
    """The mean over the examples of the inner product of output and `targets`."""
    inputs, targets = batch
    value: Tensor = _InnerProduct.apply(model(inputs), targets)  # type: ignore[no-untyped-call]  # torch has no types here
    return value


initialise = initialise_convolutional
