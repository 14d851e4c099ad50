"""LoRA: a frozen weight, plus a trained product of two thin matrices."""

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ondevice_bench.methods.compressed_input import conv_arguments, no_plain_layer
from ondevice_bench.methods.convolution import Geometry, require_geometry
from ondevice_bench.methods.frozen_weight import convolve_frozen, freeze
from ondevice_bench.methods.function_call import own_precision
from ondevice_bench.methods.layer_flops import LayerFlops, Sizes
from ondevice_bench.methods.lowrank_kinds import not_factorable
from ondevice_bench.methods.method import LayerMethod, ReplacementLayer
from ondevice_bench.methods.ranks import RankChoice, Ranks
from ondevice_bench.methods.read_only import read_only


class LoraLayer(ReplacementLayer):
    """`Y = base(X) + alpha / r · B (A X)`; B starts at zero, the bias stays outside the scaling.

    A weight that does not train keeps nothing of its input: that of the base, and a frozen A.
    """

    def __init__(
        self,
        base: nn.Module,
        rank: int,
        alpha: float,
        stream: torch.Generator,
        *,
        trains_down: bool = True,
    ) -> None:
        super().__init__()
        assert isinstance(base, (nn.Linear, nn.Conv2d))
        self.base = base
        weight = base.weight
        freeze(weight)
        outputs, *inputs = weight.shape
        rank = min(rank, *_widths(base))
        self.scaling = alpha / rank
        self.trains_down = trains_down
        down = torch.empty(rank, *inputs, dtype=weight.dtype)
        nn.init.kaiming_uniform_(down, a=5**0.5, generator=stream)
        self.down = nn.Parameter(down, requires_grad=trains_down)
        self.up = nn.Parameter(torch.zeros(outputs, rank, dtype=weight.dtype))
        self.train(base.training)

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)  # type: ignore[no-untyped-call]  # torch has no types here
        if "trains_down" not in state:  # the layer of an earlier version
            self.trains_down = self.down.requires_grad or not self.up.requires_grad

    def forward(self, input: Tensor) -> Tensor:
        """The output of the base layer, plus the output of the product."""
        if isinstance(self.base, nn.Conv2d):
            require_geometry(self, conv_arguments(self.base), self._name)
        if self.training and torch.is_grad_enabled() and self.up.requires_grad:
            self.input_shape = tuple(input.shape)
        y = self._applied(self._frozen, input, self.bias)
        thin = self._applied(self._down, input, None)
        if isinstance(self.base, nn.Conv2d):
            detour = F.conv2d(thin, self.up[:, :, None, None])
        else:
            detour = F.linear(thin, self.up)
        return torch.add(y, detour, alpha=self.scaling)  # a product would save its factor

    def _applied(self, weight: Tensor, x: Tensor, bias: Tensor | None) -> Tensor:
        """The output of a layer like the base, with this weight."""
        if not isinstance(self.base, nn.Conv2d):
            return F.linear(x, weight, bias)
        if weight.requires_grad or x.ndim != 4 or not torch.is_grad_enabled():
            y: Tensor = self.base._conv_forward(x, weight, bias)
            return y
        return convolve_frozen(self.base, x, weight, bias)

    @property
    def weight(self) -> Tensor:
        """The weight of the base layer and the product. It is computed when it is read."""
        with own_precision():
            product = self.up @ self._down.flatten(1)
        weight = torch.add(self._frozen, product.view_as(self._frozen), alpha=self.scaling)
        return read_only(weight, self._name)

    @property
    def _name(self) -> str:
        return "lora" if self.inputs is None else self.inputs.name

    @property
    def bias(self) -> Tensor | None:
        """The bias of the base layer. It trains if it did before."""
        return self.base.bias

    @property
    def _frozen(self) -> Tensor:
        """The weight of the base layer. It stays frozen if other code lets all parameters train."""
        weight = self.base.weight
        return weight.detach() if weight.requires_grad else weight

    @property
    def _down(self) -> Tensor:
        """A. If it does not train, it stays frozen like the weight of the base layer."""
        is_unfrozen = self.down.requires_grad and not self.trains_down
        return self.down.detach() if is_unfrozen else self.down

    def merge(self) -> nn.Module:
        """The base layer with the product added to its weight."""
        with torch.no_grad():
            self.base.weight.copy_(self.weight)
        self.base.weight.requires_grad_(self.up.requires_grad)
        return self.base.train(self.training)


class Lora(LayerMethod):
    """Low-rank adaptation."""

    def __init__(self, *, rank: int, alpha: float) -> None:
        self.rank = rank
        self.alpha = alpha

    def applies(self, layer: nn.Module) -> str | None:
        """Linear layers, and convolutions without groups."""
        return no_plain_layer(layer, nn.Linear, nn.Conv2d) or not_factorable(layer)

    def replace(self, layer: nn.Module, choice: RankChoice, name: str) -> ReplacementLayer:
        """The frozen layer with an additional trained product."""
        return LoraLayer(layer, self.rank, self.alpha, choice.stream("lora"))

    def stored(self, layer: nn.Module, shape: tuple[int, ...], ranks: tuple[int, ...]) -> int:
        """The input for `dA`, and `A X` for `dB`."""
        return math.prod(shape) + thin_elements(layer, shape, self.rank)

    def flops(self, layer: nn.Module, shape: tuple[int, ...], ranks: Ranks) -> LayerFlops:
        """The frozen layer and the product. The frozen weight has no gradient."""
        sizes, thin = Sizes.from_layer(layer, shape), thin_elements(layer, shape, self.rank)
        down, up = 2 * thin * sizes.columns, 2 * thin * sizes.outputs
        output = sizes.product + down + up
        return LayerFlops(
            forward=output,
            input_gradient=sizes.product + down,
            weight_gradient=down + 2 * up,  # dA, dB, and the gradient through B
            inference=output,
        )


def thin_elements(layer: nn.Module, shape: tuple[int, ...], rank: int) -> int:
    """The elements of `A X`."""
    assert isinstance(layer, (nn.Linear, nn.Conv2d))
    positions = math.prod(shape[:-1])
    if isinstance(layer, nn.Conv2d):
        positions = shape[0] * math.prod(Geometry.from_layer(layer).output((shape[2], shape[3])))
    return positions * min(rank, *_widths(layer))


def _widths(layer: nn.Linear | nn.Conv2d) -> tuple[int, int]:
    return layer.weight.shape[0], math.prod(layer.weight.shape[1:])
