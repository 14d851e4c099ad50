"""Accounted figures, as papers give them: elements of treated layers alone, by closed formulas.

Activations are the stored elements of each treated layer's input, weights what stands for its
weight. Biases, gradients, optimizer state, temporaries and all other layers are left out; layers
that share an input (q, k and v) count it once each. What a run measures is more. `published` are
the papers' own counts of FLOPs, beside the exact ones.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

from torch import Tensor, nn

from ondevice_bench.methods.convolution import Geometry
from ondevice_bench.methods.gradient_filter import GradientFilter
from ondevice_bench.methods.layer_flops import LayerFlops, Shape, Sizes, plain_flops
from ondevice_bench.methods.lora import Lora
from ondevice_bench.methods.method import LayerMethod
from ondevice_bench.methods.ranks import Ranks
from ondevice_bench.papers.counting import FormulaCount, NoFormula, published
from ondevice_bench.papers.dialects import DIALECTS

STORE_THE_INPUT = frozenset({"vanilla", "wsi", "lora"})  # as it is: layers may share it


@dataclass(frozen=True)
class LayerAccount:
    """One layer's account: elements, and FLOPs of a training step and an inference."""

    activation_elements: int
    weight_elements: int
    work: LayerFlops | None  # None where the method declares no formulas
    stored_elements: int  # what it really stores of the input, where no other layer stores it too
    published: Mapping[
        str, tuple[FormulaCount, ...] | str
    ]  # FLOPs by dialect, or why there are none

    @property
    def without_input_gradient(self) -> "LayerAccount":
        """The same for a layer whose input asks for no gradient."""
        if self.work is None:
            return self
        books = {
            dialect: rows
            if isinstance(rows, str)
            else tuple(row for row in rows if row.quantity != "input_gradient")
            for dialect, rows in self.published.items()
        }
        return replace(self, work=replace(self.work, input_gradient=0), published=books)


def vanilla_account(layer: nn.Module, shape: Shape) -> LayerAccount:
    """Ordinary training of the layer."""
    sizes = Sizes.from_layer(layer, shape)
    whole = math.prod(shape)
    books = _published("vanilla", sizes, Ranks(), 0)
    return LayerAccount(whole, _weight(layer).numel(), plain_flops(sizes), whole, books)


def account(
    name: str, method: LayerMethod, layer: nn.Module, shape: Shape, r: Ranks
) -> LayerAccount:
    """The layer under a method; `name` decides where the published table departs from `stored`."""
    outputs, inputs = _weight(layer).flatten(1).shape
    weights = _weight(layer).numel()
    stored = activations = method.stored(layer, shape, r.activation)
    option = 0
    match name, method:
        case "gradient_filter", GradientFilter():
            option = method.radius
            activations = _published_patches(layer, shape, option)
        case "lora", Lora():  # leaves out A X, which dB needs
            option = min(method.rank, outputs, inputs)
            activations = math.prod(shape)
            weights += option * (outputs + inputs)
    if r.weight is not None:
        weights = r.weight * (outputs + inputs)
    work = method.flops(layer, shape, r)
    books = _published(name, Sizes.from_layer(layer, shape), r, option)
    return LayerAccount(activations, weights, work, stored, books)


def _published(
    name: str, sizes: Sizes, r: Ranks, option: int
) -> dict[str, tuple[FormulaCount, ...] | str]:
    found: dict[str, tuple[FormulaCount, ...] | str] = {}
    for dialect, spec in DIALECTS.items():
        if name in spec.methods:
            try:
                found[dialect] = published(dialect, name, sizes, r, option)
            except NoFormula as reason:
                found[dialect] = str(reason)
    return found


def _weight(layer: nn.Module) -> Tensor:
    assert isinstance(layer, (nn.Linear, nn.Conv2d))
    return layer.weight


def _published_patches(layer: nn.Module, shape: Shape, radius: int) -> int:
    """`B C p_h p_w` with the padding that published code gives the input."""
    assert isinstance(layer, nn.Conv2d)
    geometry = Geometry.from_layer(layer)
    patches = 1
    for size, out, stride in zip(
        shape[2:], geometry.output((shape[2], shape[3])), geometry.stride, strict=True
    ):
        step = radius * stride
        padding = math.ceil((math.ceil(out / radius) * step - size) / 2)
        patches *= (size + 2 * padding - step) // step + 1
    return shape[0] * shape[1] * patches
