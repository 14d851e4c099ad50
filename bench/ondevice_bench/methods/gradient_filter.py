"""Gradient filter: one value for each patch of the output gradient and of the input.

Output patch q covers the rows `[qR, (q+1)R)`, the last one cut at the edge; the rows of the input
under it are `[s qR + o, s (q+1)R + o)`, cut likewise, with `o = d(k-1)//2 - padding`.
"""

import math
from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.grad import conv2d_weight

from ondevice_bench.methods.compressed_input import compress_input, no_plain_layer
from ondevice_bench.methods.convolution import Geometry, Size2d
from ondevice_bench.methods.layer_flops import LayerFlops, Sizes, plain_flops
from ondevice_bench.methods.method import LayerMethod, ReplacementLayer
from ondevice_bench.methods.ranks import RankChoice, Ranks
from ondevice_bench.methods.scheme import Scheme, StoredTensors


class FilterScheme(Scheme):
    """Stores the sum of the input over each patch, `(B, C, p_h, p_w)`."""

    def __init__(self, radius: int, *, published: bool) -> None:
        super().__init__()
        self.radius = radius
        self.published = published

    def store(self, x: Tensor, geometry: Geometry | None) -> StoredTensors:
        """Sum over the patches of the input; positions outside of it count as zero."""
        assert geometry is not None
        size = (x.shape[2], x.shape[3])
        (top, left), (rows, columns) = _offset(geometry), _covered(geometry.output(size), geometry)
        pads = (-left, left + columns - size[1], -top, top + rows - size[0])
        padded = F.pad(x, pads) if any(pads) else x
        patch = [s * self.radius for s in geometry.stride]
        return (_patch_sums(padded, *patch),)

    def restore(self, stored: StoredTensors, shape: tuple[int, ...]) -> Tensor:
        """Not possible: many inputs have the same sums. The gradient has its own formula."""
        raise NotImplementedError

    def linear_gradient(self, stored: StoredTensors, dy: Tensor) -> Tensor:
        """Not for linear layers: `applies` refuses them."""
        raise NotImplementedError

    def conv_gradient(
        self,
        stored: StoredTensors,
        dy: Tensor,
        shape: tuple[int, ...],
        weight: Tensor,
        geometry: Geometry,
    ) -> Tensor:
        """`dW[o, c] = sum g[b, o, q] x[b, c, q] / (s_h s_w)`, the same at every kernel position."""
        flat = (*weight.shape[:2], 1, 1)
        dw: Tensor = conv2d_weight(stored[0], flat, self._filtered(dy), groups=geometry.groups)
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
        return self._spread(patches, (shape[2], shape[3]), (dy.shape[2], dy.shape[3]), geometry)

    def _spread(self, patches: Tensor, size: Size2d, outputs: Size2d, geometry: Geometry) -> Tensor:
        """Give every pixel of the input its patch's value; pixels under no patch get zero."""
        rows, columns = (s * self.radius for s in geometry.stride)
        wide = _repeated(_repeated(patches, 3, columns), 2, rows)
        (top, left), (height, width) = _offset(geometry), _covered(outputs, geometry)
        pads = (left, size[1] - left - width, top, size[0] - top - height)
        wide = wide[:, :, :height, :width]
        return F.pad(wide, pads) if any(pads) else wide.contiguous()

    def _filtered(self, dy: Tensor) -> Tensor:
        """Average over each output patch; patches at the far edges are smaller."""
        if dy.shape[2] % self.radius or dy.shape[3] % self.radius:
            return F.avg_pool2d(dy, self.radius, ceil_mode=True)
        return _patch_sums(dy, self.radius, self.radius).div_(self.radius**2)

    def _scale(self, geometry: Geometry) -> int:
        return 1 if self.published else geometry.stride[0] * geometry.stride[1]


def _offset(geometry: Geometry) -> Size2d:
    spans = zip(geometry.dilation, geometry.kernel, geometry.low, strict=True)
    first, second = (d * (k - 1) // 2 - pad for d, k, pad in spans)
    return first, second


def _patch_sums(x: Tensor, rows: int, columns: int) -> Tensor:
    """The sum over each patch; patches at the far edges are smaller."""
    if x.shape[2] % rows or x.shape[3] % columns:
        patch = (rows, columns)
        summed: Tensor = F.avg_pool2d(x, patch, ceil_mode=True, divisor_override=1)
        return summed
    return _summed(_summed(x, 2, rows), 3, columns)


# One axis after the other takes a fraction of the time of torch's pooling and upsampling. Rows are
# whole in memory, so they are summed first, and repeated last.
def _summed(x: Tensor, axis: int, count: int) -> Tensor:
    """The sum of each `count` neighbours, in a new tensor."""
    first, *others = x.unflatten(axis, (-1, count)).unbind(axis + 1)
    total: Tensor = first.clone(memory_format=torch.contiguous_format)
    for each in others:
        total += each
    return total


def _repeated(x: Tensor, axis: int, count: int) -> Tensor:
    """Each entry `count` times."""
    wide = x.new_empty(*x.shape[: axis + 1], count, *x.shape[axis + 1 :])
    for place in wide.unbind(axis + 1):
        place.copy_(x)
    return wide.flatten(axis, axis + 1)


def _covered(outputs: Size2d, geometry: Geometry) -> Size2d:
    """The pixels under all patches of an output of that size."""
    return outputs[0] * geometry.stride[0], outputs[1] * geometry.stride[1]


class GradientFilter(LayerMethod):
    """Gradient filtering over square patches."""

    keeps_weight = True
    exact_input_gradient = False

    def __init__(self, *, radius: int, scale: str) -> None:
        self.radius = radius
        self.published = scale == "published"

    def applies(self, layer: nn.Module) -> str | None:
        """Convolutions only."""
        return no_plain_layer(layer, nn.Conv2d)

    def replace(self, layer: nn.Module, choice: RankChoice, name: str) -> ReplacementLayer:
        """The convolution with filtered gradients."""
        scheme = FilterScheme(self.radius, published=self.published)
        return compress_input(layer, scheme, choice, name)

    def stored(self, layer: nn.Module, shape: tuple[int, ...], ranks: tuple[int, ...]) -> int:
        """One number for each channel and patch."""
        assert isinstance(layer, nn.Conv2d)
        return (
            shape[0]
            * shape[1]
            * self._patches(Geometry.from_layer(layer).output((shape[2], shape[3])))
        )

    def flops(self, layer: nn.Module, shape: tuple[int, ...], ranks: Ranks) -> LayerFlops:
        """Both gradients on the grid of patches; sums and averages are element-wise work."""
        sizes = Sizes.from_layer(layer, shape)
        assert sizes.geometry is not None
        axes = zip(sizes.geometry.kernel, sizes.geometry.dilation, strict=True)
        taps = math.prod(k if dilation >= self.radius else 1 for k, dilation in axes)
        patches = shape[0] * self._patches(sizes.output)
        on_patches = 2 * patches * sizes.outputs * (sizes.inputs // sizes.groups)
        return replace(
            plain_flops(sizes), input_gradient=on_patches * taps, weight_gradient=on_patches
        )

    def _patches(self, output: tuple[int, ...]) -> int:
        return math.prod(-(-n // self.radius) for n in output)
