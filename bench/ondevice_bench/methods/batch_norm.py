"""Batch-norm layers that do not follow the batch: in a forward without a step, or for good."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ondevice_bench.methods.forward import Call
from ondevice_bench.methods.function_call import is_transformed
from ondevice_bench.models.layers import layer_input

BatchNorm = nn.modules.batchnorm._BatchNorm


def has_frozen_parameters(norm: nn.Module) -> bool:
    """Whether the layer has parameters, and none of them trains."""
    parameters = list(norm.parameters())
    return bool(parameters) and not any(each.requires_grad for each in parameters)


@contextlib.contextmanager
def statistics_unchanged(module: nn.Module) -> Iterator[None]:
    """In the block, batch-norm layers do not change their running statistics."""
    norms = [
        norm
        for norm in module.modules()
        if isinstance(norm, BatchNorm) and norm.track_running_stats
    ]
    before = [(norm.momentum, norm.num_batches_tracked) for norm in norms]
    for norm in norms:
        norm.momentum = 0.0
        if norm.num_batches_tracked is not None:
            norm.num_batches_tracked = norm.num_batches_tracked.clone()
    try:
        yield
    finally:
        for norm, (momentum, tracked) in zip(norms, before, strict=True):
            norm.momentum, norm.num_batches_tracked = momentum, tracked


class _FixedScale(torch.autograd.Function):
    """Batch-norm in evaluation whose scale does not train: it keeps one number for each channel.

    torch keeps the whole input.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, bias: Tensor | None, norm: BatchNorm) -> Tensor:
        mean, variance = norm.running_mean, norm.running_var
        assert variance is not None
        scale = (variance + norm.eps).rsqrt()
        ctx.save_for_backward(scale if norm.weight is None else scale * norm.weight)
        ctx.bias_type = None if bias is None else bias.dtype
        return F.batch_norm(x, mean, variance, norm.weight, bias, eps=norm.eps)

    @staticmethod
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:
        (scale,) = ctx.saved_tensors
        needs_x, needs_bias, _ = ctx.needs_input_grad
        channels = (1, -1, *(1 for _ in dy.shape[2:]))
        dx = (dy * scale.view(channels)).to(dy.dtype) if needs_x else None
        others = [dimension for dimension in range(dy.ndim) if dimension != 1]
        db = dy.sum(others, dtype=ctx.bias_type) if needs_bias else None
        return dx, db, None


def normalise_fixed(norm: BatchNorm, x: Tensor) -> Tensor:
    """The output of a batch-norm layer in evaluation, whose scale does not train."""
    norm._check_input_dim(x)
    if is_transformed():
        return F.batch_norm(
            x, norm.running_mean, norm.running_var, norm.weight, norm.bias, eps=norm.eps
        )
    y: Tensor = _FixedScale.apply(x, norm.bias, norm)  # type: ignore[no-untyped-call]  # torch has no types here
    return y


@dataclass(frozen=True)
class InEvaluation:
    """It surrounds a batch-norm, which computes as in evaluation whatever its mode is.

    torch's `update_bn` finds the statistics anew: without gradients, and as means.
    """

    has_means: bool  # its statistics are means always
    is_plain: bool = False  # its class is torch's own, so that it need not keep its input

    def __call__(self, call: Call) -> Any:
        """The output with the running statistics. They stay as they are."""
        norm = call.module
        assert isinstance(norm, BatchNorm)
        if norm.momentum is None and not self.has_means and not torch.is_grad_enabled():
            return call.run()
        has_statistics = norm.running_mean is not None and norm.running_var is not None
        trains_scale = norm.weight is not None and norm.weight.requires_grad
        if self.is_plain and has_statistics and not trains_scale and torch.is_grad_enabled():
            return normalise_fixed(norm, layer_input(call.arguments, call.options))
        mode, norm.training = norm.training, False
        try:
            return call.run()
        finally:
            norm.training = mode
