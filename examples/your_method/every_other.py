"""A method of your own: the weight gradient sees every second sample only.

Check it with `bench check-method examples/your_method/every_other.py:EveryOther`.
"""

import torch
from torch import Tensor, nn

from ondevice_bench.methods import LayerMethod, ReplacementLayer, apply_function


class HalfInput(torch.autograd.Function):
    """A linear layer that stores half of its batch between forward and backward."""

    @staticmethod
    def forward(ctx, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        """The exact output. What is kept goes through `save_for_backward`."""
        ctx.save_for_backward(x[::2].clone(), weight)
        return nn.functional.linear(x, weight, bias)

    @staticmethod
    def backward(ctx, dy: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Exact gradients of input and bias; that of the weight from the stored half."""
        half, weight = ctx.saved_tensors
        rows = dy[::2].reshape(-1, dy.shape[-1])
        dw = 2 * rows.T @ half.reshape(-1, half.shape[-1])
        return dy @ weight, dw, dy.sum(tuple(range(dy.ndim - 1)))


class EveryOtherLinear(ReplacementLayer, nn.Linear):
    """The layer that takes the place of a plain one, with the same parameters."""

    def forward(self, input: Tensor) -> Tensor:
        """As the plain layer; in training only half of the input is stored."""
        if not (self.training and torch.is_grad_enabled()):
            return super().forward(input)
        self.input_shape = tuple(input.shape)
        return apply_function(HalfInput, input, self.weight, self.bias)

    def merge(self) -> nn.Linear:
        """A plain layer again."""
        plain = nn.Linear(self.in_features, self.out_features, device="meta")
        plain.weight, plain.bias = self.weight, self.bias
        return plain


class EveryOther(LayerMethod):
    """The method: which layers it changes, into which, and how much each stores."""

    keeps_weight = True  # the new layer trains the weight of the old one

    def applies(self, layer: nn.Module) -> str | None:
        """Why a layer is left alone; None where it is replaced."""
        return None if type(layer) is nn.Linear else f"is a {type(layer).__name__}"

    def replace(self, layer: nn.Linear, choice: object, name: str) -> EveryOtherLinear:
        """The layer that takes its place."""
        new = EveryOtherLinear(layer.in_features, layer.out_features, device="meta")
        new.weight, new.bias = layer.weight, layer.bias
        return new

    def stored(self, layer: nn.Module, shape: tuple[int, ...], ranks: tuple[int, ...]) -> int:
        """Elements kept from forward to backward, by definition."""
        return (shape[0] + 1) // 2 * torch.Size(shape[1:]).numel()
