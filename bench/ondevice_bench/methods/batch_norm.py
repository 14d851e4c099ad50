"""Batch-norm layers that do not follow the batch: in a forward without a step, or for good."""

import contextlib
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ondevice_bench.methods.function_call import is_transformed

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
