"""A user's method that stores integers: the largest entries of the input, and their places."""

import torch
from torch import nn

from ondevice_bench.methods import LayerMethod, ReplacementLayer, apply_function


def kept(shape, keep):
    return max(1, int(torch.Size(shape).numel() * keep))


class Sparse(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, weight, bias, count):
        flat = x.detach().reshape(-1)
        places = flat.abs().topk(count).indices
        ctx.save_for_backward(flat[places], places, weight)
        ctx.shape = x.shape
        return nn.functional.linear(x, weight, bias)

    @staticmethod
    def backward(ctx, dy):
        values, places, weight = ctx.saved_tensors
        x = dy.new_zeros(ctx.shape).view(-1).index_put((places,), values).view(ctx.shape)
        rows = dy.reshape(-1, dy.shape[-1])
        return dy @ weight, rows.T @ x.reshape(-1, x.shape[-1]), rows.sum(0), None


class TopKLinear(ReplacementLayer, nn.Linear):
    keep = 1.0

    def forward(self, input):
        if not (self.training and torch.is_grad_enabled()):
            return super().forward(input)
        self.input_shape = tuple(input.shape)
        count = kept(input.shape, self.keep)
        return apply_function(Sparse, input, self.weight, self.bias, count)

    def merge(self):
        plain = nn.Linear(self.in_features, self.out_features, device="meta")
        plain.weight, plain.bias = self.weight, self.bias
        return plain


class TopK(LayerMethod):
    keeps_weight = True

    def __init__(self, *, keep=0.25):
        self.keep = keep

    def applies(self, layer):
        return None if type(layer) is nn.Linear else f"is a {type(layer).__name__}"

    def replace(self, layer, choice, name):
        new = TopKLinear(layer.in_features, layer.out_features, device="meta")
        new.weight, new.bias, new.keep = layer.weight, layer.bias, self.keep
        return new

    def stored(self, layer, shape, ranks):
        count = kept(shape, self.keep)
        return [count, (count, torch.int64)]
