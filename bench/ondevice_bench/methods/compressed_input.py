"""Layers that compute exactly and store an approximation of their input for the weight gradient.

Forward, `dX` and `db` are those of the plain layer. Only `dW` is computed from the tensors that a
scheme stores for the input.
"""

from abc import abstractmethod
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ondevice_bench.errors import Refusal
from ondevice_bench.measure.decomposition_marker import decomposition
from ondevice_bench.methods.convolution import Geometry
from ondevice_bench.methods.effect import LayersCalled
from ondevice_bench.methods.first_derivative import first_derivative
from ondevice_bench.methods.function_call import apply_function, own_precision, without_view
from ondevice_bench.methods.method import ReplacementLayer
from ondevice_bench.methods.ranks import RankChoice
from ondevice_bench.methods.scheme import Scheme
from ondevice_bench.methods.tensors import NotFiniteTensor


class _CompressedInputStep(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, layer: "CompressedInputLayer"
    ) -> Tensor:
        y, geometry = without_view(layer.plain(x, weight, bias)), layer.geometry
        try:
            with decomposition():
                stored = layer.scheme.store(x, geometry)
        except NotFiniteTensor as error:
            raise NotFiniteTensor(f"{layer.name}: the input {error}") from None
        ctx.save_for_backward(weight, *stored)
        ctx.layer, ctx.shape, ctx.version = layer, tuple(x.shape), layer.scheme.version
        ctx.geometry = geometry
        return y

    @staticmethod
    @first_derivative
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:
        weight, *stored_list = ctx.saved_tensors
        layer, stored, shape = ctx.layer, tuple(stored_list), ctx.shape
        scheme, geometry = layer.scheme, ctx.geometry
        if scheme.version != ctx.version:
            raise Refusal(
                f"{layer.name}: the bases are no longer those of the forward pass: calibrate, or "
                "load a state_dict, between two training steps"
            )
        needs_x, needs_weight, needs_bias, _ = ctx.needs_input_grad
        dx = scheme.input_gradient(dy, shape, weight, geometry) if needs_x else None
        dw = db = None
        if needs_weight and geometry is None:
            dw = scheme.linear_gradient(stored, dy)
        elif needs_weight:
            dw = scheme.conv_gradient(stored, dy, shape, weight, geometry)
        if needs_bias:
            db = dy.sum(all_but_features(dy, geometry))
        scheme.advance(stored)
        return dx, dw, db, None


def all_but_features(dy: Tensor, geometry: Geometry | None) -> list[int]:
    """The dimensions that a bias gradient sums over."""
    feature = dy.ndim - 1 if geometry is None else 1
    return [mode for mode in range(dy.ndim) if mode != feature]


class CompressedInputLayer(ReplacementLayer):
    """The base class of a linear layer and a convolution with a compressed input."""

    scheme: Scheme
    name: str
    weight: Tensor
    bias: Tensor | None

    called: LayersCalled | None = None
    """Expects an input in training mode: `treat` sets it."""

    def adopt(self, plain: nn.Module, scheme: Scheme, name: str) -> None:
        """Take over the parameters and the mode of the plain layer."""
        assert isinstance(plain, (nn.Linear, nn.Conv2d))
        give_parameters(self, plain.weight, plain.bias)
        self.train(plain.training)
        self.scheme, self.name = scheme, name

    @property
    def geometry(self) -> Geometry | None:
        """The geometry of a convolution, as it is now; None for a linear layer."""
        return None

    @abstractmethod
    def plain(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        """The output of the plain layer."""

    def forward(self, input: Tensor) -> Tensor:
        """Compress in training. In evaluation, or with a frozen weight, be the plain layer."""
        trains = torch.is_grad_enabled() and self.weight.requires_grad
        if trains and not self.training and self.called is not None:
            self.called.expect_of(self, self.name)
        trains = trains and self.training and not self.bypass
        if not trains or not self.scheme.takes(tuple(input.shape)):
            return self.plain(input, self.weight, self.bias)
        self.input_shape = tuple(input.shape)
        if self.called is not None:
            self.called.is_called = True
        return apply_function(_CompressedInputStep, input, self.weight, self.bias, self)

    def calibrate(self, x: Tensor) -> None:
        """Let the scheme keep what it needs of this input."""
        if self.inputs is not None:
            self.inputs.check(tuple(x.shape))
        try:
            with own_precision():
                self.scheme.calibrate(x)
        except NotFiniteTensor as error:
            raise NotFiniteTensor(f"{self.name}: the input {error}") from None

    def state(self) -> Iterator[Tensor]:
        """The buffers of the scheme."""
        return self.scheme.buffers()


class CompressedInputLinear(CompressedInputLayer, nn.Linear):  # type: ignore[misc]  # a missing bias is None
    """A linear layer with 2-D, 3-D or 4-D inputs."""

    def __init__(self, plain: nn.Linear, scheme: Scheme, name: str) -> None:
        nn.Linear.__init__(self, plain.in_features, plain.out_features, device="meta")
        self.adopt(plain, scheme, name)

    def plain(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        """`x Wᵀ + b`."""
        return F.linear(x, weight, bias)

    def merge(self) -> nn.Linear:
        """A plain linear layer with these parameters."""
        plain = nn.Linear(self.in_features, self.out_features, device="meta")
        give_parameters(plain, self.weight, self.bias)
        return plain.train(self.training)


class CompressedInputConv2d(CompressedInputLayer, nn.Conv2d):
    """A convolution of any stride, padding, dilation and groups."""

    def __init__(self, plain: nn.Conv2d, scheme: Scheme, name: str) -> None:
        nn.Conv2d.__init__(self, **conv_arguments(plain), device="meta")
        self.adopt(plain, scheme, name)

    @property
    def geometry(self) -> Geometry:
        """As its attributes say now. A Refusal if it pads with something else than zeros."""
        if self.padding_mode != "zeros":
            raise Refusal(
                f"{self.name}: since treat(), other code lets it pad with {self.padding_mode!r}; "
                "only zeros are treated"
            )
        return Geometry.from_layer(self)

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
    """A layer of the same geometry and type whose parameters have no storage."""
    if isinstance(layer, nn.Conv2d):
        return nn.Conv2d(**conv_arguments(layer), device="meta", dtype=layer.weight.dtype)
    if isinstance(layer, nn.Linear):
        bias, dtype = layer.bias is not None, layer.weight.dtype
        return nn.Linear(layer.in_features, layer.out_features, bias, "meta", dtype)
    return layer


def conv_arguments(layer: nn.Conv2d) -> dict[str, Any]:
    """The arguments that construct a convolution like this one."""
    return {
        "in_channels": layer.in_channels,
        "out_channels": layer.out_channels,
        "kernel_size": layer.kernel_size,
        "stride": layer.stride,
        "padding": layer.padding,
        "dilation": layer.dilation,
        "groups": layer.groups,
        "bias": layer.bias is not None,
        "padding_mode": layer.padding_mode,
    }


def give_parameters(layer: nn.Module, weight: Tensor, bias: Tensor | None) -> None:
    """Give `layer` these same parameters."""
    for name, tensor in (("weight", weight), ("bias", bias)):
        assert tensor is None or isinstance(tensor, nn.Parameter)
        layer.register_parameter(name, tensor)


def compress_input(
    layer: nn.Module, scheme: Scheme, choice: RankChoice | None, name: str
) -> CompressedInputLayer:
    """The layer that stores its input by the scheme."""
    scheme.choice = choice
    if isinstance(layer, nn.Conv2d):
        return CompressedInputConv2d(layer, scheme, name)
    assert isinstance(layer, nn.Linear)
    return CompressedInputLinear(layer, scheme, name)


def no_plain_layer(layer: nn.Module, *kinds: type[nn.Module]) -> str | None:
    """The reason why a layer is not plain. A subclass may compute something else."""
    own = type(layer)
    if own not in kinds:
        if any(own.__name__ == kind.__name__ and issubclass(own, kind) for kind in kinds):
            return (
                f"is a subclass of {own.__name__} (its module: {own.__module__}), which may "
                "compute something else"
            )
        allowed = " or ".join(kind.__name__ for kind in kinds)
        return f"is a {own.__name__}, not a {allowed}"
    if isinstance(layer, nn.Conv2d) and layer.padding_mode != "zeros":
        return f"pads with {layer.padding_mode!r}; only zeros are treated"
    return None
