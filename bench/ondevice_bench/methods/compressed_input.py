"""Layers that compute exactly and store an approximation of their input for the weight gradient.

Forward, `dX` and `db` are those of the plain layer; only what `dW` is computed from is replaced.
A scheme says what is stored and how `dW` follows from it.
"""

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from ondevice_bench.measure.decomposition_marker import decomposition
from ondevice_bench.methods.convolution import Geometry
from ondevice_bench.methods.ranks import RankChoice
from ondevice_bench.methods.tensors import NotFinite, largest_rank

Saved = tuple[Tensor, ...]


class Scheme(nn.Module):
    """What stands for a layer's input between forward and backward."""

    choice: RankChoice | None = None

    @staticmethod
    def modes(dimensions: int) -> tuple[int, ...]:
        """The modes of an input with so many dimensions that have a rank."""
        return tuple(range(dimensions))

    def ranks(self, shape: Sequence[int]) -> tuple[int, ...]:
        """The rank of each mode for an input of that shape."""
        assert self.choice is not None
        largest = tuple(largest_rank(tuple(shape), mode) for mode in self.modes(len(shape)))
        return self.choice.of_activation(largest)

    @abstractmethod
    def store(self, x: Tensor, geometry: Geometry | None) -> Saved:
        """The tensors that are kept; called without gradients."""

    @abstractmethod
    def restore(self, saved: Saved, shape: tuple[int, ...]) -> Tensor:
        """The input that the stored tensors stand for."""

    @abstractmethod
    def linear_gradient(self, saved: Saved, dy: Tensor) -> Tensor:
        """`dW (O, I)` of a linear layer."""

    @abstractmethod
    def conv_gradient(
        self, saved: Saved, dy: Tensor, shape: tuple[int, ...], weight: Tensor, geometry: Geometry
    ) -> Tensor:
        """`dW` of a convolution whose input had that shape."""

    def input_gradient(
        self, dy: Tensor, shape: tuple[int, ...], weight: Tensor, geometry: Geometry | None
    ) -> Tensor:
        """`dX`, exact unless a scheme has a formula of its own."""
        if geometry is None:
            return dy @ weight
        return geometry.input_gradient(shape, weight, dy)

    def advance(self, saved: Saved) -> None:
        """Called once a backward: state that a scheme carries from step to step moves on here."""


class _Treated(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, layer: "TreatedLayer"
    ) -> Tensor:
        y = layer.plain(x, weight, bias)
        try:
            with decomposition():
                saved = layer.scheme.store(x, layer.geometry)
        except NotFinite as error:
            raise NotFinite(f"{layer.name}: the input {error}") from None
        ctx.save_for_backward(weight, *saved)
        ctx.layer, ctx.shape = layer, tuple(x.shape)
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:
        weight, *kept = ctx.saved_tensors
        layer, saved, shape = ctx.layer, tuple(kept), ctx.shape
        scheme, geometry = layer.scheme, layer.geometry
        needs_x, needs_weight, needs_bias, _ = ctx.needs_input_grad
        dx = scheme.input_gradient(dy, shape, weight, geometry) if needs_x else None
        dw = db = None
        if needs_weight and geometry is None:
            dw = scheme.linear_gradient(saved, dy)
        elif needs_weight:
            dw = scheme.conv_gradient(saved, dy, shape, weight, geometry)
        if needs_bias:
            db = dy.sum(all_but_features(dy, geometry))
        scheme.advance(saved)
        return dx, dw, db, None


def all_but_features(dy: Tensor, geometry: Geometry | None) -> list[int]:
    """The dimensions that a bias gradient sums over."""
    feature = dy.ndim - 1 if geometry is None else 1
    return [mode for mode in range(dy.ndim) if mode != feature]


class TreatedLayer(nn.Module):
    """What a treated linear and a treated convolution have in common."""

    scheme: Scheme
    geometry: Geometry | None
    name: str
    seen: tuple[int, ...] | None
    bypass: bool
    weight: Tensor
    bias: Tensor | None

    def adopt(self, plain: nn.Module, scheme: Scheme, name: str) -> None:
        """Take over the plain layer's own parameters and mode."""
        assert isinstance(plain, (nn.Linear, nn.Conv2d))
        give_parameters(self, plain.weight, plain.bias)
        self.train(plain.training)
        self.scheme, self.name, self.seen = scheme, name, None
        self.bypass = False

    @abstractmethod
    def plain(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        """The layer as it would be untreated."""

    @abstractmethod
    def merge(self) -> nn.Module:
        """A plain layer with these parameters."""

    def forward(self, x: Tensor) -> Tensor:
        """Train approximately; without gradients, in evaluation and where frozen, be plain."""
        treated = self.training and torch.is_grad_enabled() and self.weight.requires_grad
        if self.bypass or not treated:
            return self.plain(x, self.weight, self.bias)
        self.seen = tuple(x.shape)
        y: Tensor = _Treated.apply(x, self.weight, self.bias, self)  # type: ignore[no-untyped-call]  # torch's stub has no types
        return y


class TreatedLinear(TreatedLayer, nn.Linear):  # type: ignore[misc]  # a missing bias is None
    """A linear layer with 2-D, 3-D or 4-D inputs."""

    def __init__(self, plain: nn.Linear, scheme: Scheme, name: str) -> None:
        nn.Linear.__init__(self, plain.in_features, plain.out_features, device="meta")
        self.geometry = None
        self.adopt(plain, scheme, name)

    def plain(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        """`x Wᵀ + b`."""
        return F.linear(x, weight, bias)

    def merge(self) -> nn.Linear:
        """A plain linear layer with these parameters."""
        plain = nn.Linear(self.in_features, self.out_features, device="meta")
        give_parameters(plain, self.weight, self.bias)
        return plain.train(self.training)


class TreatedConv2d(TreatedLayer, nn.Conv2d):
    """A convolution of any stride, padding, dilation and groups."""

    def __init__(self, plain: nn.Conv2d, scheme: Scheme, name: str) -> None:
        nn.Conv2d.__init__(self, **conv_arguments(plain), device="meta")
        self.geometry = Geometry.from_layer(plain)
        self.adopt(plain, scheme, name)

    def plain(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        """The convolution."""
        y: Tensor = self._conv_forward(x, weight, bias)
        return y

    def merge(self) -> nn.Conv2d:
        """A plain convolution with these parameters."""
        plain = nn.Conv2d(**conv_arguments(self), device="meta")
        give_parameters(plain, self.weight, self.bias)
        return plain.train(self.training)


def without_bytes(layer: nn.Module) -> nn.Module:
    """A layer of the same geometry whose parameters have no storage."""
    if isinstance(layer, nn.Conv2d):
        return nn.Conv2d(**conv_arguments(layer), device="meta")
    if isinstance(layer, nn.Linear):
        return nn.Linear(layer.in_features, layer.out_features, layer.bias is not None, "meta")
    return layer


def conv_arguments(layer: nn.Conv2d) -> dict[str, Any]:
    """What a convolution like this one is constructed with."""
    names = ("in_channels", "out_channels", "kernel_size", "stride", "padding", "dilation")
    return {
        **{name: getattr(layer, name) for name in names},
        "groups": layer.groups,
        "bias": layer.bias is not None,
    }


def give_parameters(layer: nn.Module, weight: Tensor, bias: Tensor | None) -> None:
    """Let `layer` have these very parameters."""
    for name, tensor in (("weight", weight), ("bias", bias)):
        assert tensor is None or isinstance(tensor, nn.Parameter)
        layer.register_parameter(name, tensor)


def treated(layer: nn.Module, scheme: Scheme, choice: RankChoice | None, name: str) -> TreatedLayer:
    """The layer with the scheme in it."""
    scheme.choice = choice
    if isinstance(layer, nn.Conv2d):
        return TreatedConv2d(layer, scheme, name)
    assert isinstance(layer, nn.Linear)
    return TreatedLinear(layer, scheme, name)


def no_plain_layer(layer: nn.Module, *kinds: type[nn.Module]) -> str | None:
    """Why a layer cannot be treated; subclasses of the plain kinds have a life of their own."""
    if type(layer) not in kinds:
        allowed = " or ".join(kind.__name__ for kind in kinds)
        return f"is a {type(layer).__name__}, not a {allowed}"
    if isinstance(layer, nn.Conv2d) and layer.padding_mode != "zeros":
        return f"pads with {layer.padding_mode!r}; only zeros are treated"
    return None
