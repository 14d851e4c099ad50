"""Gradient filter: patches of the output gradient and of the input stand for their pixels.

Output patch q covers the rows `[qR, (q+1)R)`, the last one cut at the edge; the rows of the input
under it are `[s qR + o, s (q+1)R + o)`, cut likewise, with `o = d(k-1)//2 - padding`.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.grad import conv2d_weight

from bench.methods.convolution import Geometry
from bench.methods.ranks import Choice
from bench.methods.stored import Saved, Scheme, no_plain_layer, treated


class FilterScheme(Scheme):
    """Stored: the sum of the input over each patch, `(B, C, p_h, p_w)`."""

    def __init__(self, radius: int, *, published: bool) -> None:
        super().__init__()
        self.radius = radius
        self.published = published

    def store(self, x: Tensor, geometry: Geometry | None) -> Saved:
        """Sum over the input's patches; what lies outside counts as zero."""
        assert geometry is not None
        size = (x.shape[2], x.shape[3])
        covered = [n * s for n, s in zip(geometry.output(size), geometry.stride, strict=True)]
        (top, left), (rows, columns) = _offset(geometry), covered
        pads = (-left, left + columns - size[1], -top, top + rows - size[0])
        seen = F.pad(x, pads) if any(pads) else x
        patch = [s * self.radius for s in geometry.stride]
        summed: Tensor = F.avg_pool2d(seen, patch, ceil_mode=True, divisor_override=1)
        return (summed,)

    def restore(self, saved: Saved, shape: tuple[int, ...]) -> Tensor:
        """A sum has no single input; the gradient follows a formula of its own."""
        raise NotImplementedError

    def linear_gradient(self, saved: Saved, dy: Tensor) -> Tensor:
        """Not for linear layers: `applies` refuses them."""
        raise NotImplementedError

    def conv_gradient(
        self, saved: Saved, dy: Tensor, shape: tuple[int, ...], weight: Tensor, geometry: Geometry
    ) -> Tensor:
        """`dW[o, c] = sum g[b, o, q] x[b, c, q] / (s_h s_w)`, the same at every kernel position."""
        flat = (*weight.shape[:2], 1, 1)
        dw: Tensor = conv2d_weight(saved[0], flat, self._filtered(dy), groups=geometry.groups)
        return (dw / self._scale(geometry)).expand(weight.shape).contiguous()

    def input_gradient(
        self, dy: Tensor, shape: tuple[int, ...], weight: Tensor, geometry: Geometry | None
    ) -> Tensor:
        """Constant on each input patch: `sum_o w[o, c] g[b, o, q] / (s_h s_w)`."""
        assert geometry is not None
        dilation = []
        for axis, d in enumerate(geometry.dilation):
            if d < self.radius:  # the kernel falls into one patch
                weight = weight.sum(2 + axis, keepdim=True)
            dilation.append(max(1, d // self.radius))
        filtered = self._filtered(dy)
        patches = F.conv_transpose2d(
            filtered, weight, dilation=dilation, groups=geometry.groups
        ) / self._scale(geometry)
        for axis in (2, 3):  # the padding that keeps the grid's size
            low = dilation[axis - 2] * (weight.shape[axis] - 1) // 2
            patches = patches.narrow(axis, low, filtered.shape[axis])
            patches = self._spread(patches, axis, shape[axis], dy.shape[axis], geometry)
        return patches

    def _spread(
        self, patches: Tensor, axis: int, size: int, outputs: int, geometry: Geometry
    ) -> Tensor:
        """Give every row of the input its patch's value; rows under no patch get zero."""
        stride, offset = geometry.stride[axis - 2], _offset(geometry)[axis - 2]
        rows = torch.arange(size) - offset
        inside = (rows >= 0) & (rows < stride * outputs)
        patch = rows.div(stride * self.radius, rounding_mode="floor")
        spread = patches.index_select(axis, patch.clamp(0, patches.shape[axis] - 1))
        if inside.all():
            return spread
        return spread * inside.view(-1, *[1] * (3 - axis)).to(spread.dtype)

    def _filtered(self, dy: Tensor) -> Tensor:
        """Average over each output patch, the last one over what is left of it."""
        return F.avg_pool2d(dy, self.radius, ceil_mode=True)

    def _scale(self, geometry: Geometry) -> int:
        return 1 if self.published else geometry.stride[0] * geometry.stride[1]


def _offset(geometry: Geometry) -> tuple[int, int]:
    spans = zip(geometry.dilation, geometry.kernel, geometry.low, strict=True)
    first, second = (d * (k - 1) // 2 - pad for d, k, pad in spans)
    return first, second


class GradientFilter:
    """Gradient filtering over square patches."""

    def __init__(self, *, radius: int = 2, scale: str = "exact") -> None:
        if radius < 1:
            raise ValueError(f"radius must be at least 1, got {radius}")
        self.radius = radius
        self.published = scale == "published"

    def applies(self, layer: nn.Module) -> str | None:
        """Convolutions only."""
        return no_plain_layer(layer, nn.Conv2d)

    def replace(self, layer: nn.Module, choice: Choice | None, name: str) -> nn.Module:
        """The convolution with filtered gradients."""
        return treated(layer, FilterScheme(self.radius, published=self.published), choice, name)

    def stored(self, layer: nn.Module, shape: tuple[int, ...], ranks: tuple[int, ...]) -> int:
        """One number a channel and patch."""
        assert isinstance(layer, nn.Conv2d)
        rows, columns = (
            -(-n // self.radius) for n in Geometry.of(layer).output((shape[2], shape[3]))
        )
        return shape[0] * shape[1] * rows * columns
