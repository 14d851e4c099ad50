"""Layers whose weight is only `L R`. No dense `O x I` tensor exists at any time."""

from abc import abstractmethod
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from ondevice_bench.measure.decomposition_marker import decomposition
from ondevice_bench.methods.compressed_input import (
    all_but_features,
    conv_arguments,
    give_parameters,
)
from ondevice_bench.methods.convolution import Geometry
from ondevice_bench.methods.method import ReplacementLayer
from ondevice_bench.methods.scheme import Scheme, StoredTensors
from ondevice_bench.methods.subspace import (
    FactoredGradient,
    FactoredGradientSum,
    ProductsGradient,
    ThinGradient,
)
from ondevice_bench.methods.tensors import NotFinite, mode_product, truncated, working
from ondevice_bench.methods.tucker import conv_pair, linear_pair

_ROWS = 64  # rows of G that exist at the same time, for the sum of its norm


class UnconsumedUpdate(RuntimeError):
    """A training step begins, but no optimizer has applied the last one's gradient."""


class _LowRankStep(torch.autograd.Function):
    """Forward and `dX` through the factors; the weight gradient stays with the layer, thin."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, left: Tensor, right: Tensor, bias: Tensor | None, layer: "LowRankLayer"
    ) -> Tensor:
        y = layer.product(x, left, right, bias)
        try:
            stored = layer.store(x)
        except NotFinite as error:
            raise NotFinite(f"{layer.name}: the input {error}") from None
        ctx.save_for_backward(left, right, *stored)
        ctx.layer, ctx.shape = layer, tuple(x.shape)
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:
        left, right, *stored_list = ctx.saved_tensors
        layer, stored = ctx.layer, tuple(stored_list)
        needs_x, needs_left, needs_right, needs_bias, _ = ctx.needs_input_grad
        dx = layer.input_gradient(dy, ctx.shape, left, right) if needs_x else None
        dl = dr = db = None
        if needs_left or needs_right:
            dl, dr = layer.weight_gradient(stored, dy, ctx.shape, left, right)
        if needs_bias:
            db = dy.sum(all_but_features(dy, layer.geometry))
        if layer.scheme is not None:
            layer.scheme.advance(stored)
        return dx, dl, dr, db, None


class LowRankLayer(ReplacementLayer):
    """`Y = (X Rᵀ) Lᵀ + b`. The layer stores X itself, or the tensors of a scheme for X."""

    def __init__(
        self, plain: nn.Module, rank: int, scheme: Scheme | None, name: str, *, factors: bool
    ) -> None:
        super().__init__()
        assert isinstance(plain, (nn.Linear, nn.Conv2d))
        matrix = plain.weight.detach().flatten(1)
        left, right = truncated(matrix, rank)
        trains = plain.weight.requires_grad
        self.left = nn.Parameter(left.contiguous(), requires_grad=trains)  # (O, K)
        self.right = nn.Parameter(right.contiguous(), requires_grad=trains)  # (K, I)
        bias = plain.bias
        assert bias is None or isinstance(bias, nn.Parameter)
        self.register_parameter("bias", bias)
        self.scheme = scheme
        self.name = name
        self.factors = factors
        self.geometry = Geometry.from_layer(plain) if isinstance(plain, nn.Conv2d) else None
        self.accumulates = 1
        self.pending: list[FactoredGradient | ProductsGradient] = []
        self.train(plain.training)

    bias: Tensor | None

    @abstractmethod
    def product(self, x: Tensor, left: Tensor, right: Tensor, bias: Tensor | None) -> Tensor:
        """The output, through K features."""

    @abstractmethod
    def input_gradient(
        self, dy: Tensor, shape: tuple[int, ...], left: Tensor, right: Tensor
    ) -> Tensor:
        """`dX = (dY L) R`."""

    @abstractmethod
    def pair(self, stored: StoredTensors, dy: Tensor) -> FactoredGradient:
        """`G` in two factors, from the tensors of the scheme."""

    @abstractmethod
    def as_rows(self, x: Tensor, dy: Tensor) -> tuple[Tensor, Tensor]:
        """Inputs and output gradients as matrices with `G = dYᵀ X`."""

    def forward(self, x: Tensor) -> Tensor:
        """Leave a gradient for the factors in training; evaluation computes the same product."""
        trains = self.training and torch.is_grad_enabled() and self.left.requires_grad
        if self.bypass or not trains:
            return self.product(x, self.left, self.right, self.bias)
        if len(self.pending) >= self.accumulates:
            raise UnconsumedUpdate(
                f"{self.name}: the last step's gradient was not applied: train with the optimizer "
                "that Treatment.optimizer returns, and call its step() or zero_grad()"
            )
        self.input_shape = tuple(x.shape)
        y: Tensor = _LowRankStep.apply(x, self.left, self.right, self.bias, self)  # type: ignore[no-untyped-call]  # torch's stub has no types
        return y

    def state(self) -> Iterator[Tensor]:
        """The buffers of the scheme."""
        return iter(()) if self.scheme is None else self.scheme.buffers()

    def store(self, x: Tensor) -> StoredTensors:
        """The tensors to store for this input until backward."""
        if self.scheme is None:
            return (x,)
        with decomposition():
            return self.scheme.store(x, self.geometry)

    def weight_gradient(
        self, stored: StoredTensors, dy: Tensor, shape: tuple[int, ...], left: Tensor, right: Tensor
    ) -> tuple[Tensor | None, Tensor | None]:
        """The gradients of the factors; none if the layer has a thin gradient instead."""
        if self.scheme is not None:
            pair = self.pair(stored, dy)
            if self.factors:
                return pair.times(right.T), pair.transposed_times(left).T
            self.pending = [*self.pending, pair]
            return None, None
        x_rows, dy_rows = self.as_rows(stored[0], dy)
        if self.factors:
            return dy_rows.T @ (x_rows @ right.T), (dy_rows @ left).T @ x_rows
        self.pending = [_products(x_rows, dy_rows, left, right)]
        return None, None

    @property
    def gradient(self) -> ThinGradient | None:
        """The gradient that the next update applies, or None."""
        if not self.pending:
            return None
        pairs = tuple(each for each in self.pending if isinstance(each, FactoredGradient))
        if pairs:
            return FactoredGradientSum(pairs)
        (products,) = self.pending
        assert isinstance(products, ProductsGradient)
        return products

    def dense_gradient(self, stored: StoredTensors, dy: Tensor) -> Tensor:
        """`G (O, I)` from the stored tensors: for comparison, never in a step."""
        if self.scheme is not None:
            columns = torch.eye(self.right.shape[1], dtype=dy.dtype)
            return self.pair(stored, dy).times(columns)
        x_rows, dy_rows = self.as_rows(stored[0], dy)
        return dy_rows.T @ x_rows

    def dense(self) -> Tensor:
        """`L R`: for merging and for tests, never in a step."""
        return self.left @ self.right


def _products(x: Tensor, dy: Tensor, left: Tensor, right: Tensor) -> ProductsGradient:
    """The five products of `G = dYᵀ X`, by contracting both sides with thin matrices."""
    gt_l = x.T @ (dy @ left)
    g_rt = dy.T @ (x @ right.T)
    g_gtl = dy.T @ (x @ gt_l)
    squares = [torch.linalg.vector_norm(rows.T @ x) ** 2 for rows in dy.split(_ROWS, dim=1)]
    return ProductsGradient(
        gt_l=gt_l,
        g_rt=g_rt,
        g_gtl=g_gtl,
        gt_grt=x.T @ (dy @ g_rt),
        gt_ggtl=x.T @ (dy @ g_gtl),
        norm=torch.stack(squares).sum(),
    )


class LowRankLinear(LowRankLayer):
    """A linear layer in two factors."""

    def product(self, x: Tensor, left: Tensor, right: Tensor, bias: Tensor | None) -> Tensor:
        """`(X Rᵀ) Lᵀ + b`."""
        return F.linear(F.linear(x, right), left, bias)

    def input_gradient(
        self, dy: Tensor, shape: tuple[int, ...], left: Tensor, right: Tensor
    ) -> Tensor:
        """`(dY L) R`."""
        return (dy @ left) @ right

    def pair(self, stored: StoredTensors, dy: Tensor) -> FactoredGradient:
        """`(P, U_I)`."""
        return FactoredGradient(*linear_pair(stored, dy))

    def as_rows(self, x: Tensor, dy: Tensor) -> tuple[Tensor, Tensor]:
        """Batch and tokens as rows."""
        return x.reshape(-1, x.shape[-1]), dy.reshape(-1, dy.shape[-1])

    def merge(self) -> nn.Linear:
        """A plain linear layer."""
        outputs, inputs = len(self.left), self.right.shape[1]
        plain = nn.Linear(inputs, outputs, bias=self.bias is not None, device="meta")
        give_parameters(plain, nn.Parameter(self.dense().detach()), self.bias)
        return plain.train(self.training)


class LowRankConv2d(LowRankLayer):
    """A convolution to K channels and a pointwise one from them."""

    def __init__(
        self, plain: nn.Conv2d, rank: int, scheme: Scheme | None, name: str, *, factors: bool
    ) -> None:
        super().__init__(plain, rank, scheme, name, factors=factors)
        self.channels = plain.in_channels
        self.arguments = conv_arguments(plain)

    def _kernel(self, right: Tensor) -> Tensor:
        assert self.geometry is not None
        return right.view(len(right), self.channels, *self.geometry.kernel)

    def product(self, x: Tensor, left: Tensor, right: Tensor, bias: Tensor | None) -> Tensor:
        """`R` as a convolution, `L` as a pointwise one."""
        kernel = self._kernel(right)
        positions = {name: self.arguments[name] for name in ("stride", "padding", "dilation")}
        thin = F.conv2d(x, kernel, **positions)
        return F.conv2d(thin, left[:, :, None, None], bias)

    def input_gradient(
        self, dy: Tensor, shape: tuple[int, ...], left: Tensor, right: Tensor
    ) -> Tensor:
        """Back through `L`, then through `R`."""
        assert self.geometry is not None
        thin = mode_product(dy, left.T, 1)
        return self.geometry.input_gradient(shape, self._kernel(right), thin)

    def pair(self, stored: StoredTensors, dy: Tensor) -> FactoredGradient:
        """`P` for every kernel position, and the channel factor."""
        assert self.geometry is not None
        rows, columns = self.geometry.kernel
        weight = (dy.shape[1], self.channels, rows, columns)
        thin, channels = conv_pair(stored, dy, weight, self.geometry)
        return FactoredGradient(thin.reshape(len(thin), -1), channels, rows * columns)

    def as_rows(self, x: Tensor, dy: Tensor) -> tuple[Tensor, Tensor]:
        """Output positions as rows. Each row is a patch of the input."""
        assert self.geometry is not None
        geometry = self.geometry
        (top, left), (bottom, right) = geometry.low, geometry.high
        padded = F.pad(x, (left, right, top, bottom))
        # (B, C kh kw, N)
        patches = F.unfold(padded, geometry.kernel, geometry.dilation, 0, geometry.stride)
        return (
            patches.transpose(1, 2).reshape(-1, patches.shape[1]),
            dy.flatten(2).transpose(1, 2).reshape(-1, dy.shape[1]),
        )

    def merge(self) -> nn.Conv2d:
        """A plain convolution."""
        plain = nn.Conv2d(**self.arguments, device="meta")
        kernel = self._kernel(self.right)
        weight = self.dense().detach().view(len(self.left), *kernel.shape[1:])
        give_parameters(plain, nn.Parameter(weight), self.bias)
        return plain.train(self.training)


def low_rank(
    layer: nn.Module, rank: int, scheme: Scheme | None, name: str, *, factors: bool
) -> LowRankLayer:
    """The layer in factors."""
    kind = LowRankConv2d if isinstance(layer, nn.Conv2d) else LowRankLinear
    return kind(layer, rank, scheme, name, factors=factors)  # type: ignore[arg-type]  # each kind takes its own layer


def weight_matrix(layer: nn.Module) -> Tensor:
    """The weight as `(O, I)`, in the precision of decompositions."""
    assert isinstance(layer, (nn.Linear, nn.Conv2d))
    return working(layer.weight.detach().flatten(1))


def not_factorable(layer: nn.Module) -> str | None:
    """The reason why the weight of a layer cannot be two factors; None if it can."""
    if isinstance(layer, nn.Conv2d) and layer.groups != 1:
        return f"has {layer.groups} groups; only convolutions without groups are treated"
    return None
