"""The FLOPs of a layer by closed formulas of shapes and ranks. A multiply-add counts as two.

The formulas are of the products and convolutions that this package really runs, in its order of
contraction. Factorisations are estimates and stay apart.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

from torch import nn

from ondevice_bench.measure import factorisation_flops
from ondevice_bench.methods.convolution import Geometry
from ondevice_bench.methods.subspace import PROBES
from ondevice_bench.methods.tensors import projection_order, row_blocks

Shape = tuple[int, ...]


@dataclass(frozen=True)
class LayerFlops:
    """FLOPs of one layer: of a training step by purpose, and of an inference."""

    forward: int = 0
    decomposition: int = 0  # compression of the input, which runs in forward but counts only here
    input_gradient: int = 0
    weight_gradient: int = 0
    update: int = 0
    factorisation: int = 0  # QR and eigenproblems, an estimate that counts only here
    inference: int = 0

    @property
    def training(self) -> int:
        """All FLOPs of a step, without factorisations."""
        backward = self.input_gradient + self.weight_gradient
        return self.forward + self.decomposition + backward + self.update

    def __add__(self, other: "LayerFlops") -> "LayerFlops":
        return LayerFlops(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(self)))


def mean(steps: Sequence[LayerFlops]) -> LayerFlops:
    """The mean of the steps of a period, rounded down."""
    total = sum(steps, LayerFlops())
    return LayerFlops(*(getattr(total, f.name) // len(steps) for f in fields(total)))


@dataclass(frozen=True)
class Sizes:
    """The sizes of a layer and its input: output positions (over the batch), features, kernel."""

    shape: Shape
    positions: int
    inputs: int  # features, or channels
    outputs: int
    taps: int = 1  # positions of the kernel
    groups: int = 1
    geometry: Geometry | None = None
    output: tuple[int, int] = (1, 1)  # rows and columns

    @staticmethod
    def from_layer(layer: nn.Module, shape: Shape) -> "Sizes":
        """The sizes of a plain layer for an input of this shape."""
        if isinstance(layer, nn.Conv2d):
            geometry = Geometry.from_layer(layer)
            output = geometry.output((shape[2], shape[3]))
            return Sizes(
                shape=shape,
                positions=shape[0] * math.prod(output),
                inputs=layer.in_channels,
                outputs=layer.out_channels,
                taps=math.prod(geometry.kernel),
                groups=layer.groups,
                geometry=geometry,
                output=output,
            )
        assert isinstance(layer, nn.Linear)
        return Sizes(shape, math.prod(shape[:-1]), layer.in_features, layer.out_features)

    @property
    def columns(self) -> int:
        """Columns of the weight as a matrix."""
        return self.inputs // self.groups * self.taps

    @property
    def product(self) -> int:
        """The layer's own product; each of its two gradients costs the same."""
        return 2 * self.positions * self.outputs * self.columns

    @property
    def gradient_shape(self) -> Shape:
        """The shape of the output and of its gradient."""
        if self.geometry is None:
            return (*self.shape[:-1], self.outputs)
        return (self.shape[0], self.outputs, *self.output)


def plain_flops(sizes: Sizes) -> LayerFlops:
    """Vanilla training."""
    flops = sizes.product
    return LayerFlops(forward=flops, input_gradient=flops, weight_gradient=flops, inference=flops)


def gram(shape: Shape, mode: int) -> int:
    """`X_(m) X_(m)ᵀ`, each block of rows from its diagonal on."""
    size = shape[mode]
    others = math.prod(shape) // size
    entries: int = sum((rows.stop - rows.start) * (size - rows.start) for rows in row_blocks(size))
    return 2 * others * entries


def mode_products(shape: Shape, steps: Sequence[tuple[int, int]]) -> int:
    """Products that reduce one mode after the other to its rank."""
    left, total = list(shape), 0
    for mode, rank in steps:
        total += 2 * rank * math.prod(left)
        left[mode] = rank
    return total


def leading_flops(shape: Shape, mode: int, rank: int) -> LayerFlops:
    """The leading left singular vectors of an unfolding, by the smaller Gram matrix."""
    size = shape[mode]
    others = math.prod(shape) // size
    if size <= others:
        return LayerFlops(
            decomposition=gram(shape, mode), factorisation=factorisation_flops.eigh(size)
        )
    return LayerFlops(
        decomposition=gram((others, size), 0) + 2 * size * others * rank,
        factorisation=factorisation_flops.eigh(others) + factorisation_flops.qr(size, rank),
    )


def iteration_flops(shape: Shape, mode: int, rank: int) -> LayerFlops:
    """One subspace iteration, by the cheaper of two ways."""
    size = shape[mode]
    if size <= 2 * rank:
        flops = gram(shape, mode) + 2 * size * size * rank
    else:
        flops = 4 * rank * math.prod(shape)
    return LayerFlops(decomposition=flops, factorisation=factorisation_flops.qr(size, rank))


def tucker_flops(
    layer: nn.Module,
    shape: Shape,
    ranks: Shape,
    factors: LayerFlops,
    order: Sequence[tuple[int, int]] | None = None,
) -> LayerFlops:
    """A layer that stores a core and factors; `factors` are the FLOPs to compute the factors."""
    sizes = Sizes.from_layer(layer, shape)
    if order is None:
        order = [(mode, ranks[mode]) for mode in projection_order(shape, ranks)]
    return replace(
        plain_flops(sizes),
        decomposition=factors.decomposition + mode_products(shape, order),
        weight_gradient=tucker_gradient(sizes, ranks),
        factorisation=factors.factorisation,
    )


def tucker_pair(sizes: Sizes, ranks: Shape) -> int:
    """`P` of `dW = P Uᵀ`: `dY`, projected on all factors except the features' one."""
    dy, out = sizes.gradient_shape, sizes.outputs
    if sizes.geometry is None:
        rows = math.prod(ranks[:-1])
        return _projection(dy, ranks[:-1]) + 2 * out * rows * ranks[-1]
    batch, channels, height, width = ranks
    if sizes.geometry.is_pointwise:
        permuted = (dy[0], *sizes.output, out)
        rows = batch * height * width
        return _projection(permuted, (batch, height, width)) + 2 * out * rows * channels
    restored = mode_products(ranks, [(2, sizes.shape[2]), (3, sizes.shape[3])])
    thin = batch * math.prod(sizes.output)
    return restored + mode_products(dy, [(0, batch)]) + 2 * thin * out * channels * sizes.taps


def tucker_gradient(sizes: Sizes, ranks: Shape) -> int:
    """`dW` from a core and factors; only with groups are the channels restored."""
    if sizes.groups > 1:
        rows, columns = sizes.shape[2:]
        restored = mode_products(ranks, [(2, rows), (3, columns), (1, sizes.inputs)])
        thin = mode_products(sizes.gradient_shape, [(0, ranks[0])])
        return restored + thin + sizes.product * ranks[0] // sizes.shape[0]
    features = ranks[-1] if sizes.geometry is None else ranks[1]
    last = 2 * sizes.outputs * features * sizes.inputs * sizes.taps
    return tucker_pair(sizes, ranks) + last


def _projection(dy: Shape, ranks: Shape) -> int:
    """`dY` on the batch and token factors, in the cheaper order."""
    (batch, *tokens), out = dy[:-1], dy[-1]
    small, whole = math.prod(ranks[1:]), math.prod(tokens)
    steps = [(mode, rank) for mode, rank in enumerate(ranks) if mode > 0]
    batch_first = ranks[0] * (batch * whole + small * whole)
    if not tokens or batch_first < batch * small * (whole + ranks[0]):
        return mode_products(dy, [(0, ranks[0]), *steps])
    return mode_products(dy, steps) + 2 * batch * ranks[0] * small * out


def factored_flops(sizes: Sizes, rank: int) -> LayerFlops:
    """A weight in two factors of this rank: output, input gradient, inference."""
    flops = 2 * sizes.positions * rank * (sizes.columns + sizes.outputs)
    return LayerFlops(forward=flops, input_gradient=flops, inference=flops)


def subspace_flops(sizes: Sizes, rank: int) -> LayerFlops:
    """The products with L and R only, which both subspace updates have, and their QR."""
    rows, columns = sizes.outputs, sizes.columns
    inner = 2 * rank * rank * columns + 2 * rows * rank * rank  # R Q, L (R Q)
    turned = 2 * rank * rank * rows + 2 * rank * rank * columns  # (L'ᵀ L) R
    return LayerFlops(update=inner + turned, factorisation=factorisation_flops.qr(rows, rank))


def span_flops(sizes: Sizes, rank: int, features: int) -> LayerFlops:
    """The subspace update in the span of `L` and `P`, for a gradient in this many features."""
    rows, columns, width = sizes.outputs, sizes.columns, features * sizes.taps
    check = 4 * rows * rank * PROBES
    split = 8 * rows * rank * width + 2 * rank * width**2 + 2 * width**3
    coordinates = 2 * columns * rank**2 + 2 * rank * width * (rank + width)
    turned = 2 * rank * (rank + width) * rows + 2 * rank**2 * columns
    moved = 2 * rank * width * (rank + width)
    features_of = 3 * 2 * columns * features * rank
    return LayerFlops(
        update=check + split + coordinates + turned + moved + features_of,
        factorisation=2 * factorisation_flops.qr(rows, width)
        + factorisation_flops.qr(rank + width, rank),
    )
