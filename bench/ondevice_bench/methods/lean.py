"""The neighbours of layers keep what their backward needs, and no more. The gradient is exact.

A ReLU keeps one bit an element, where torch keeps the output. A frozen batch-norm keeps nothing,
where torch keeps the input. Max-pooling keeps one byte for each output, where torch keeps the
input and an integer of eight bytes. Dropout keeps one bit an element, where torch keeps a factor.
"""

from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.modules.utils import _pair

from ondevice_bench.methods.packed_bits import Array, PackedBits, as_array
from ondevice_bench.methods.rewriting import Rewrite, Rewriting, run_as

_LARGEST_WINDOW = 256  # places that one byte can name


class Lean(Rewriting):
    """Does not change output and gradient."""

    def table(self) -> Mapping[Callable[..., Any], Rewrite]:
        """The functions that keep less."""
        return _TABLE


class _Gated(torch.autograd.Function):
    """A function that passes the gradient of some elements, and blocks that of all others.

    A blocked gradient is zero, or `slope` times the gradient.
    """

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        run: Callable[[Tensor], Tensor],
        passes: Callable[[Array], Array],
        slope: float,
        inplace: bool,
    ) -> Tensor:
        y = run(x)
        if inplace:
            ctx.mark_dirty(x)
        ctx.bits, ctx.slope = PackedBits.like(y, 1), slope
        ctx.save_for_backward(ctx.bits.pack(y, lambda block: passes(as_array(block))))
        return y

    @staticmethod
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:
        (packed,) = ctx.saved_tensors
        bits, slope = ctx.bits, ctx.slope
        if torch.is_grad_enabled():  # the operators below have no derivative
            passes = bits.unpack(packed, _copy, bits.empty(torch.bool))
            return torch.where(passes, dy, dy * slope), None, None, None, None

        def put(dx: Tensor, passes: Array, dy: Tensor) -> None:
            gate = torch.from_numpy(passes).to(dx.dtype)
            if slope:
                _LEAKY_RELU_BACKWARD(dy, gate, slope, False, grad_input=dx)
            else:
                _RELU_BACKWARD(dy, gate, 0, grad_input=dx)

        return bits.unpack(packed, put, bits.empty(dy.dtype), dy), None, None, None, None


# with `torch.where`, backward takes several times as long
_RELU_BACKWARD = torch.ops.aten.threshold_backward.grad_input
_LEAKY_RELU_BACKWARD = torch.ops.aten.leaky_relu_backward.grad_input


def _copy(elements: Tensor, numbers: Array) -> None:
    elements.copy_(torch.from_numpy(numbers))


def _gated(
    name: str,
    x: Tensor,
    run: Callable[[Tensor], Tensor],
    passes: Callable[[Array], Array],
    slope: float = 0.0,
    *,
    inplace: bool,
) -> Tensor:
    return run_as(name, _Gated, x, run, passes, slope, inplace)


# What is not a number passes these tests, as in torch's backward.
def _relu(input: Tensor, inplace: bool = False) -> Tensor:
    run = torch.relu_ if inplace else torch.relu
    return _gated("relu", input, run, lambda y: ~(y <= 0), inplace=inplace)


def _hardtanh(
    input: Tensor, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False
) -> Tensor | None:
    if not min_val < max_val:
        return None
    run = torch._C._nn.hardtanh_ if inplace else torch._C._nn.hardtanh
    return _gated(
        "hardtanh",
        input,
        lambda x: run(x, min_val, max_val),
        lambda y: ~((y <= min_val) | (y >= max_val)),
        inplace=inplace,
    )


def _relu6(input: Tensor, inplace: bool = False) -> Tensor | None:
    return _hardtanh(input, 0.0, 6.0, inplace)


def _leaky_relu(
    input: Tensor, negative_slope: float = 0.01, inplace: bool = False
) -> Tensor | None:
    if negative_slope <= 0:  # then the sign of the output does not say that of the input
        return None
    run = partial(F.leaky_relu, negative_slope=negative_slope, inplace=inplace)
    return _gated("leaky_relu", input, run, lambda y: y > 0, negative_slope, inplace=inplace)


class _FrozenBatchNorm(torch.autograd.Function):
    """Batch-norm with fixed statistics and a fixed scale: `dX` does not depend on X."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        mean: Tensor,
        variance: Tensor,
        weight: Tensor | None,
        bias: Tensor | None,
        eps: float,
    ) -> Tensor:
        ctx.save_for_backward(mean, variance, weight)
        ctx.eps = eps
        return F.batch_norm(x, mean, variance, weight, bias, False, 0.0, eps)

    @staticmethod
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:
        mean, variance, weight = ctx.saved_tensors
        needs_x, _, _, _, needs_bias, _ = ctx.needs_input_grad
        if torch.is_grad_enabled():  # the derivative of torch's operator would need X
            scale = torch.rsqrt(variance + ctx.eps) * (1 if weight is None else weight)
            dx = dy * scale.to(dy.dtype).view(1, -1, *(1,) * (dy.ndim - 2))
            return dx, None, None, None, _over_channels(dy) if needs_bias else None, None
        # torch's own operator, so that all bits are equal; without statistics of a batch it
        # uses no value of its input, and `dy` has the right shape
        mask = [needs_x, False, needs_bias]
        dx, _, db = _BATCH_NORM_BACKWARD(
            dy, dy, weight, mean, variance, None, None, False, ctx.eps, mask
        )
        return dx, None, None, None, db, None


_BATCH_NORM_BACKWARD = torch.ops.aten.native_batch_norm_backward.default


def _over_channels(dy: Tensor) -> Tensor:
    return dy.sum([d for d in range(dy.ndim) if d != 1])


def _batch_norm(
    input: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor | None:
    if training or running_mean is None or running_var is None:
        return None
    if weight is not None and weight.requires_grad:
        return None
    return run_as(
        "batch_norm", _FrozenBatchNorm, input, running_mean, running_var, weight, bias, eps
    )


class _MaxPool(torch.autograd.Function):
    """Max-pooling that keeps the place of each maximum within its window."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, window: "_Window") -> Tensor:
        y, indices = F.max_pool2d_with_indices(x, *window.arguments)
        ctx.window, ctx.size = window, x.shape
        ctx.save_for_backward(window.places(indices, x.shape[-1]))
        return y

    @staticmethod
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:
        (places,) = ctx.saved_tensors
        window, size = ctx.window, ctx.size
        indices = window.indices(places, size[-1])
        x = dy.new_empty(()).expand(size)  # the operator reads its shape alone
        if places.ndim == 4 and not places.is_contiguous():
            x = torch.empty(size, dtype=dy.dtype, memory_format=torch.channels_last)
        dx = torch.ops.aten.max_pool2d_with_indices_backward(dy, x, *window.arguments, indices)
        return dx, None


class _Window:
    """The window of a pooling, and where its places are in the input."""

    def __init__(
        self, kernel: Any, stride: Any, padding: Any, dilation: Any, ceil_mode: bool
    ) -> None:
        self.kernel, self.padding, self.dilation = _pair(kernel), _pair(padding), _pair(dilation)
        self.stride = _pair(stride) if stride else self.kernel
        self.arguments = (self.kernel, self.stride, self.padding, self.dilation, ceil_mode)

    @property
    def size(self) -> int:
        """The number of its places."""
        return int(self.kernel[0] * self.kernel[1])

    def places(self, indices: Tensor, width: int) -> Tensor:
        """Indices of the input as numbers within the window."""
        top, left = self._corners(indices)
        row = (indices // width - top) // self.dilation[0]
        column = (indices % width - left) // self.dilation[1]
        places: Tensor = row * self.kernel[1] + column
        return places.to(torch.uint8)

    def indices(self, places: Tensor, width: int) -> Tensor:
        """Numbers within the window as indices of the input."""
        top, left = self._corners(places)
        number = places.to(torch.int64)
        row = number // self.kernel[1] * self.dilation[0] + top
        column = number % self.kernel[1] * self.dilation[1] + left
        indices: Tensor = row * width + column
        return indices

    def _corners(self, of_outputs: Tensor) -> tuple[Tensor, Tensor]:
        """Row and column of the first place of each output's window."""
        rows, columns = (
            torch.arange(size) * stride - padding
            for size, stride, padding in zip(
                of_outputs.shape[-2:], self.stride, self.padding, strict=True
            )
        )
        return rows[:, None], columns


def _max_pool2d(
    input: Tensor,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Tensor | None:
    window = _Window(kernel_size, stride, padding, dilation, ceil_mode)
    if return_indices or window.size > _LARGEST_WINDOW:
        return None
    return run_as("max_pool2d", _MaxPool, input, window)


class _Dropout(torch.autograd.Function):
    """Dropout that keeps which elements are left. It draws the numbers that torch draws."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, p: float) -> Tensor:
        left = torch.empty_like(x).bernoulli_(1 - p)
        ctx.bits, ctx.p = PackedBits.like(left, 1), p
        ctx.save_for_backward(ctx.bits.pack(left, lambda block: as_array(block) != 0))
        return x * left.div_(1 - p)

    @staticmethod
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:
        (packed,) = ctx.saved_tensors
        left = ctx.bits.unpack(packed, _copy, ctx.bits.empty(dy.dtype))
        return dy * left.div_(1 - ctx.p), None


def _dropout(
    input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False
) -> Tensor | None:
    if not training or inplace or not 0 < p < 1:
        return None
    return run_as("dropout", _Dropout, input, p)


def _dropout_of_torch(input: Tensor, p: float, train: bool) -> Tensor | None:
    return _dropout(input, p, train)


_TABLE: Mapping[Callable[..., Any], Rewrite] = MappingProxyType(
    {
        F.relu: _relu,
        torch.relu: _relu,
        torch.relu_: partial(_relu, inplace=True),
        Tensor.relu: _relu,
        Tensor.relu_: partial(_relu, inplace=True),
        F.relu6: _relu6,
        F.hardtanh: _hardtanh,
        F.hardtanh_: partial(_hardtanh, inplace=True),
        F.leaky_relu: _leaky_relu,
        F.leaky_relu_: partial(_leaky_relu, inplace=True),
        F.batch_norm: _batch_norm,
        F.max_pool2d: _max_pool2d,
        torch.max_pool2d: _max_pool2d,
        F.dropout: _dropout,
        torch.dropout: _dropout_of_torch,
    }
)
