"""Smooth activation functions keep a few bits an element (Novikov et al., ICML 2023).

The output is exact. In backward, steps stand for the derivative, and only the number of the step
is kept. So all gradients before such a function are approximate.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy
import torch
import torch.nn.functional as F
from torch import Tensor

from ondevice_bench.methods.few_bit_steps import STEPS, Steps
from ondevice_bench.methods.packed_bits import Array, PackedBits, as_array
from ondevice_bench.methods.rewriting import Rewrite, Rewriting, run_as


class FewBit(Rewriting):
    """Does not change the output."""

    def __init__(self, *, bits: int) -> None:
        self.bits = bits

    def table(self) -> Mapping[Callable[..., Any], Rewrite]:
        """The functions that keep less."""
        return {function: each(self.bits) for function, each in _TABLE.items()}


class _Stepped(torch.autograd.Function):
    """A function whose derivative is one of a few levels."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, run: Callable[[Tensor], Tensor], steps: Steps, inplace: bool
    ) -> Tensor:
        ctx.kept = PackedBits.like(x, len(steps.levels).bit_length() - 1)
        packed = ctx.kept.pack(x, partial(_numbers, steps.borders))
        y = run(x)
        if inplace:
            ctx.mark_dirty(x)
        ctx.levels = steps.levels
        ctx.save_for_backward(packed)
        return y

    @staticmethod
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:
        (packed,) = ctx.saved_tensors
        put = partial(_put_levels, torch.tensor(ctx.levels, dtype=dy.dtype))
        derivative = ctx.kept.unpack(packed, put, ctx.kept.empty(dy.dtype))
        return dy * derivative, None, None, None


def _numbers(borders: tuple[float, ...], block: Tensor) -> Array:
    """How many borders are below each element."""
    x = as_array(block)
    if len(borders) == 1:
        return x > borders[0]
    numbers = (x > borders[0]).view(numpy.uint8)
    for border in borders[1:]:
        numbers += x > border
    return numbers


def _put_levels(levels: Tensor, elements: Tensor, numbers: Array) -> None:
    torch.index_select(levels, 0, torch.from_numpy(numbers).to(torch.int32), out=elements)


def _stepped(
    name: str, x: Tensor, run: Callable[[Tensor], Tensor], bits: int, *, inplace: bool = False
) -> Tensor:
    return run_as(name.removesuffix("_tanh"), _Stepped, x, run, STEPS[name][bits - 1], inplace)


def _gelu(bits: int) -> Rewrite:
    def gelu(input: Tensor, *, approximate: str = "none") -> Tensor:
        name = "gelu_tanh" if approximate == "tanh" else "gelu"
        return _stepped(name, input, partial(F.gelu, approximate=approximate), bits)

    return gelu


def _with_option(name: str, function: Callable[..., Tensor], bits: int) -> Rewrite:
    """A function that has an option to work in place."""

    def run(input: Tensor, inplace: bool = False) -> Tensor:
        return _stepped(name, input, partial(function, inplace=inplace), bits, inplace=inplace)

    return run


def _alone(
    name: str, function: Callable[[Tensor], Tensor], bits: int, *, inplace: bool = False
) -> Rewrite:
    def run(input: Tensor) -> Tensor:
        return _stepped(name, input, function, bits, inplace=inplace)

    return run


_TABLE: Mapping[Callable[..., Any], Callable[[int], Rewrite]] = {
    F.gelu: _gelu,
    F.silu: partial(_with_option, "silu", F.silu),
    F.hardswish: partial(_with_option, "hardswish", F.hardswish),
    F.sigmoid: partial(_alone, "sigmoid", torch.sigmoid),
    torch.sigmoid: partial(_alone, "sigmoid", torch.sigmoid),
    torch.sigmoid_: partial(_alone, "sigmoid", torch.sigmoid_, inplace=True),
    Tensor.sigmoid: partial(_alone, "sigmoid", torch.sigmoid),
    Tensor.sigmoid_: partial(_alone, "sigmoid", torch.sigmoid_, inplace=True),
    F.tanh: partial(_alone, "tanh", torch.tanh),
    torch.tanh: partial(_alone, "tanh", torch.tanh),
    torch.tanh_: partial(_alone, "tanh", torch.tanh_, inplace=True),
    Tensor.tanh: partial(_alone, "tanh", torch.tanh),
    Tensor.tanh_: partial(_alone, "tanh", torch.tanh_, inplace=True),
}
