"""A user's method: only every second sample is kept for the weight gradient."""

import torch
from torch import nn

from ondevice_bench.methods import LayerMethod, ReplacementLayer, apply_function


class Half(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, weight, bias):
        ctx.save_for_backward(x[::2].clone(), weight)
        return nn.functional.linear(x, weight, bias)

    @staticmethod
    def backward(ctx, dy):
        kept, weight = ctx.saved_tensors
        seen = dy[::2].reshape(-1, dy.shape[-1])
        dw = 2 * seen.T @ kept.reshape(-1, kept.shape[-1])
        return dy @ weight, dw, dy.sum(tuple(range(dy.ndim - 1)))


class Layer(ReplacementLayer, nn.Linear):
    def forward(self, input):
        if not (self.training and torch.is_grad_enabled()):
            return super().forward(input)
        self.input_shape = tuple(input.shape)
        return apply_function(Half, input, self.weight, self.bias)

    def merge(self):
        plain = nn.Linear(self.in_features, self.out_features, device="meta")
        plain.weight, plain.bias = self.weight, self.bias
        return plain


class Holding(ReplacementLayer):
    """Keeps the plain layer inside, instead of being one."""

    def __init__(self, base):
        super().__init__()
        self.base = base

    def forward(self, input):
        if not (self.training and torch.is_grad_enabled()):
            return self.base(input)
        self.input_shape = tuple(input.shape)
        return apply_function(Half, input, self.base.weight, self.base.bias)

    def merge(self):
        return self.base


class Mine(LayerMethod):
    keeps_weight = True  # Layer trains the weight of the layer that it replaces

    def __init__(self, *, keep=2):
        self.keep = keep

    def applies(self, layer):
        return None if type(layer) is nn.Linear else f"is a {type(layer).__name__}"

    def replace(self, layer, choice, name):
        mine = Layer(layer.in_features, layer.out_features, device="meta")
        mine.weight, mine.bias = layer.weight, layer.bias
        return mine

    def stored(self, layer, shape, ranks):
        return (shape[0] + 1) // 2 * torch.Size(shape[1:]).numel()


class MineAround(Mine):
    def replace(self, layer, choice, name):
        return Holding(layer)
