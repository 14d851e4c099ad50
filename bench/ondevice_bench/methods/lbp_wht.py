"""LBP-WHT: both gradients in a few Walsh functions of each patch of places.

The places are those of a pointwise convolution, or the tokens of a linear layer if they lie on a
grid. A class token before them is kept apart, exactly. A linear layer without a grid trains
plainly. `w_i` has i changes of sign. Of the products
`w_i(row) w_j(column)` on a patch, those with `i + j < order` are kept.
"""

import itertools
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache

from torch import Tensor, nn
from torch.nn import functional as F

from ondevice_bench.errors import Refusal
from ondevice_bench.methods.compressed_input import (
    CompressedInputLayer,
    compress_input,
    no_plain_layer,
)
from ondevice_bench.methods.convolution import Geometry, Size2d
from ondevice_bench.methods.layer_flops import LayerFlops, Sizes, plain_flops
from ondevice_bench.methods.method import LayerMethod, ReplacementLayer
from ondevice_bench.methods.ranks import RankChoice, Ranks
from ondevice_bench.methods.scheme import Scheme, StoredTensors
from ondevice_bench.methods.tensors import mode_product

_GRIDS = "inputs (B, H, W, I), (B, N, I) with N = n² or n² + 1, or of a 1x1 convolution"


@dataclass(frozen=True)
class Grid:
    """The places of an input: `examples` grids of this size, and perhaps a class token each."""

    examples: int
    size: Size2d
    has_token: bool = False

    def patches(self, patch: int) -> int:
        """The number of patches of all examples."""
        return self.examples * math.prod(-(-side // patch) for side in self.size)


class WalshScheme(Scheme):
    """Stores the sum of the input times each function over each patch, and a class token."""

    def __init__(self, patch: int, order: int, stride: Size2d | None) -> None:
        super().__init__()
        self.patch = patch
        self.order = order
        self.stride = stride  # of a convolution; None: of a linear layer

    def takes(self, shape: tuple[int, ...]) -> bool:
        """Whether its places lie on a grid."""
        return grid_of_input(shape, self.stride) is not None

    def store(self, x: Tensor, geometry: Geometry | None) -> StoredTensors:
        """The sums over the input, which is padded by reflection."""
        self._require_same(geometry)
        grid = self._grid(tuple(x.shape))
        self._require_room(grid)
        sums = self._transformed(self._places(x, grid), "reflect")
        return (sums, x[:, 0].clone()) if grid.has_token else (sums,)

    def restore(self, stored: StoredTensors, shape: tuple[int, ...]) -> Tensor:
        """The part of the input that the functions hold. What a stride leaves out is zero."""
        grid = self._grid(shape)
        token = stored[1] if grid.has_token else None
        return self._assembled(self._expanded(stored[0] / self.patch**2, grid), token, shape)

    def linear_gradient(self, stored: StoredTensors, dy: Tensor) -> Tensor:
        """`dW = sum g_ijᵀ x_ij`."""
        sums = stored[0]
        means = self._means(dy)
        dw = means.reshape(-1, means.shape[-1]).T @ sums.reshape(-1, sums.shape[-1])
        return dw + dy[:, 0].T @ stored[1] if len(stored) == 2 else dw

    def conv_gradient(
        self,
        stored: StoredTensors,
        dy: Tensor,
        shape: tuple[int, ...],
        weight: Tensor,
        geometry: Geometry,
    ) -> Tensor:
        """As for a linear layer: the kernel is one point."""
        return self.linear_gradient(stored, dy)[:, :, None, None]

    def input_gradient(
        self, dy: Tensor, shape: tuple[int, ...], weight: Tensor, geometry: Geometry | None
    ) -> Tensor:
        """`dX = sum m_ij (g_ij W)`."""
        grid, matrix = self._grid(shape), weight.flatten(1)
        places = self._expanded(self._means(dy) @ matrix, grid)
        token = dy[:, 0] @ matrix if grid.has_token else None
        return self._assembled(places, token, shape)

    def _grid(self, shape: tuple[int, ...]) -> Grid:
        grid = grid_of_input(shape, self.stride)
        assert grid is not None  # `takes` says so
        return grid

    def _require_same(self, geometry: Geometry | None) -> None:
        """A Refusal if the convolution is no longer the one for which its places are known."""
        if geometry is None or (geometry.is_pointwise and geometry.stride == self.stride):
            return
        assert self.choice is not None
        raise Refusal(
            f"{self.choice.layer}: since treat(), other code has changed its stride or its "
            "padding: change them before treat()"
        )

    def _require_room(self, grid: Grid) -> None:
        """A Refusal if a side is too short to be reflected into its padding."""
        for side in grid.size:
            _, after = _pads(side, self.patch)
            if after >= side:
                assert self.choice is not None
                raise Refusal(
                    f"{self.choice.layer}: the input has {' x '.join(map(str, grid.size))} places, "
                    f"too few to fill patches of {self.patch} x {self.patch} by reflection: use a "
                    "smaller `patch`, or other layers"
                )

    def _places(self, x: Tensor, grid: Grid) -> Tensor:
        """The input or output gradient as `(B, rows, columns, features)`, without class token."""
        if self.stride is not None:
            if x.shape[2:] != grid.size:
                x = x[:, :, :: self.stride[0], :: self.stride[1]]
            return x.permute(0, 2, 3, 1)
        if grid.has_token:
            x = x[:, 1:]
        return x.reshape(grid.examples, *grid.size, x.shape[-1])

    def _means(self, dy: Tensor) -> Tensor:
        """`g_ij`: the means of `dY` times each function, padded with zeros."""
        grid = grid_of_input(tuple(dy.shape), None if self.stride is None else (1, 1))
        assert grid is not None
        return self._transformed(self._places(dy, grid), "constant") / self.patch**2

    def _transformed(self, places: Tensor, padding: str) -> Tensor:
        """The sum of each patch times each function: `(patches, functions, features)`."""
        n, (examples, *size, features) = self.patch, places.shape
        (top, bottom), (left, right) = (_pads(side, n) for side in size)
        if top or bottom or left or right:
            pads = (left, right, top, bottom)
            places = F.pad(places.permute(0, 3, 1, 2), pads, padding).permute(0, 2, 3, 1)
        rows, columns = (side // n for side in places.shape[1:3])
        cut = places.reshape(examples, rows, n, columns, n, features).transpose(2, 3)
        patches = cut.reshape(examples * rows * columns, n * n, features)
        return mode_product(patches, places.new_tensor(functions(n, self.order)), 1)

    def _expanded(self, coefficients: Tensor, grid: Grid) -> Tensor:
        """`sum m_ij c_ij` at every place, without the padding."""
        n, features = self.patch, coefficients.shape[-1]
        basis = coefficients.new_tensor(functions(n, self.order))
        rows, columns = (-(-side // n) for side in grid.size)
        patches = mode_product(coefficients, basis.T, 1)
        cut = patches.view(grid.examples, rows, columns, n, n, features).transpose(2, 3)
        whole = cut.reshape(grid.examples, rows * n, columns * n, features)
        (top, _), (left, _) = (_pads(side, n) for side in grid.size)
        return whole[:, top : top + grid.size[0], left : left + grid.size[1]]

    def _assembled(self, places: Tensor, token: Tensor | None, shape: tuple[int, ...]) -> Tensor:
        """A tensor of this shape from its places, with zeros where a stride reads nothing."""
        if self.stride is None:
            if token is None:
                return places.reshape(shape)
            whole = places.new_empty(shape)
            whole[:, 0] = token
            whole[:, 1:] = places.flatten(1, 2)
            return whole
        read = places.permute(0, 3, 1, 2)
        if tuple(read.shape) == shape:
            return read.contiguous()
        whole = places.new_zeros(shape)
        whole[:, :, :: self.stride[0], :: self.stride[1]] = read
        return whole


def grid_of_input(shape: tuple[int, ...], stride: Size2d | None) -> Grid | None:
    """The places that a convolution with this stride reads, or the tokens of a linear layer.

    Tokens lie as the input has them, or on a square. They may lie on no grid. One place, as after
    a pooling of the whole map, is not a grid.
    """
    found = _places_of_input(shape, stride)
    return None if found is None or found.size == (1, 1) else found


def _places_of_input(shape: tuple[int, ...], stride: Size2d | None) -> Grid | None:
    if stride is not None:
        rows, columns = (-(-n // s) for n, s in zip(shape[2:], stride, strict=True))
        return Grid(shape[0], (rows, columns))
    if len(shape) == 4:
        return Grid(shape[0], (shape[1], shape[2]))
    if len(shape) == 3:
        for before in (0, 1):  # torch.compile knows no differences of numbers and booleans
            tokens = shape[1] - before
            side = math.isqrt(tokens) if tokens > 0 else 0
            if side and side**2 == tokens:
                return Grid(shape[0], (side, side), bool(before))
    return None


def _pads(side: int, patch: int) -> Size2d:
    """Places before and after a side that fill its patches, evenly; an odd one comes after."""
    missing = -side % patch
    return missing // 2, missing - missing // 2


@cache
def functions(patch: int, order: int) -> list[list[float]]:
    """`m_ij` with `i + j < order`, a row each, with an entry for each place of a patch."""
    walsh = [[1.0]]
    while len(walsh) < patch:
        walsh = [[*row, *(sign * each for each in row)] for row in walsh for sign in (1, -1)]
    walsh.sort(key=lambda row: sum(a != b for a, b in itertools.pairwise(row)))
    return [
        [down * along for down in walsh[i] for along in walsh[j]]
        for i in range(patch)
        for j in range(patch)
        if i + j < order
    ]


class LbpWht(LayerMethod):
    """Low-rank backward passes by Walsh-Hadamard transforms."""

    keeps_weight = True
    exact_input_gradient = False
    passes_over = "their inputs have no places on a grid"

    def __init__(self, *, patch: int, order: int) -> None:
        self.patch = patch
        self.order = order

    @contextmanager
    def packing(self, model: nn.Module) -> Iterator[None]:
        """After a forward: a Refusal if all layers passed their input over."""
        yield
        layers = [m for m in model.modules() if isinstance(m, CompressedInputLayer)]
        trained = [layer for layer in layers if layer.weight.requires_grad]
        if trained and all(layer.input_shape is None for layer in trained):
            raise Refusal(
                f"lbp_wht: no layer of this network saw places on a grid ({_GRIDS}), so the method "
                "would change nothing"
            )

    def applies(self, layer: nn.Module) -> str | None:
        """Linear layers, and pointwise convolutions without groups."""
        reason = no_plain_layer(layer, nn.Linear, nn.Conv2d)
        if reason is not None or not isinstance(layer, nn.Conv2d):
            return reason
        if Geometry.from_layer(layer).is_pointwise and layer.groups == 1:
            return None
        return "is not a pointwise convolution: only 1x1 without padding and groups is treated"

    def replace(self, layer: nn.Module, choice: RankChoice, name: str) -> ReplacementLayer:
        """The layer with gradients in the chosen functions."""
        scheme = WalshScheme(self.patch, self.order, _stride(layer))
        return compress_input(layer, scheme, choice, name)

    def stored(self, layer: nn.Module, shape: tuple[int, ...], ranks: tuple[int, ...]) -> int:
        """A number for each feature, patch and function, and the class token."""
        sizes, grid = Sizes.from_layer(layer, shape), grid_of_input(shape, _stride(layer))
        if grid is None:
            return math.prod(shape)
        token = grid.examples * sizes.inputs if grid.has_token else 0
        return grid.patches(self.patch) * self._functions * sizes.inputs + token

    def flops(self, layer: nn.Module, shape: tuple[int, ...], ranks: Ranks) -> LayerFlops:
        """The transforms, and both gradients of the patches and of the class token."""
        sizes, grid = Sizes.from_layer(layer, shape), grid_of_input(shape, _stride(layer))
        if grid is None:
            return plain_flops(sizes)
        rows = grid.patches(self.patch) * self._functions
        tokens = grid.examples if grid.has_token else 0
        transform = 2 * rows * self.patch**2  # of one feature
        product = 2 * (rows + tokens) * sizes.inputs * sizes.outputs
        return replace(
            plain_flops(sizes),
            decomposition=transform * sizes.inputs,
            weight_gradient=transform * sizes.outputs + product,
            input_gradient=transform * (sizes.outputs + sizes.inputs) + product,
        )

    @property
    def _functions(self) -> int:
        return len(functions(self.patch, self.order))


def _stride(layer: nn.Module) -> Size2d | None:
    """The stride of a convolution."""
    return Geometry.from_layer(layer).stride if isinstance(layer, nn.Conv2d) else None
