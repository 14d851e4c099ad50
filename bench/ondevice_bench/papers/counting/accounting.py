"""Numbers computed by formula, as in papers: elements of the changed layers only.

Activations are the stored elements of each changed layer's input. Weights are the elements of its
weight, or of the factors that replace it. Biases, gradients, optimizer state, temporary tensors and
all other layers are not included. If q, k and v share an input, it counts three times. A run
measures more than that. `published` are the papers' own counts of FLOPs.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from ondevice_bench.methods.convolution import Geometry
from ondevice_bench.methods.gradient_filter import GradientFilter
from ondevice_bench.methods.layer_flops import LayerFlops, Shape, Sizes, plain_flops
from ondevice_bench.methods.lora import Lora
from ondevice_bench.methods.lora_fa import LoraFa
from ondevice_bench.methods.method import LayerMethod
from ondevice_bench.methods.ranks import Ranks
from ondevice_bench.methods.stored_size import stored_size
from ondevice_bench.papers.counting import FormulaCount, NoFormula, published
from ondevice_bench.papers.dialects import DIALECTS

ACCOUNTED = torch.float32  # for every type of training
STORE_THE_INPUT = frozenset(
    {"vanilla", "wsi", "wsi_svd", "lora"}
)  # unchanged, so that layers may share it


@dataclass(frozen=True)
class LayerAccount:
    """One layer's account: elements, and FLOPs of a training step and an inference."""

    activation_elements: int
    activation_bytes: int
    weight_elements: int
    work: LayerFlops | None  # None if the method declares no formulas
    stored_bytes: int  # really stored of the input, if no other layer stores it
    # FLOPs by dialect, or why there are none
    published: Mapping[str, tuple[FormulaCount, ...] | str]

    @property
    def without_input_gradient(self) -> "LayerAccount":
        """The account of a layer whose input needs no gradient."""
        if self.work is None:
            return self
        counts = {
            dialect: rows
            if isinstance(rows, str)
            else tuple(row for row in rows if row.quantity != "input_gradient")
            for dialect, rows in self.published.items()
        }
        return replace(self, work=replace(self.work, input_gradient=0), published=counts)


def vanilla_account(layer: nn.Module, shape: Shape) -> LayerAccount:
    """The account of the layer in plain training."""
    sizes = Sizes.from_layer(layer, shape)
    size = stored_size(math.prod(shape), ACCOUNTED)
    counts = _published("vanilla", sizes, Ranks(), 0)
    weights = _weight(layer).numel()
    return LayerAccount(size.elements, size.bytes, weights, plain_flops(sizes), size.bytes, counts)


def account(
    name: str, method: LayerMethod, layer: nn.Module, shape: Shape, r: Ranks
) -> LayerAccount:
    """The account of the layer with a method. For some names, papers count other than `stored`."""
    outputs, inputs = _weight(layer).flatten(1).shape
    weights = _weight(layer).numel()
    stored = activations = stored_size(method.stored(layer, shape, r.activation), ACCOUNTED)
    option = 0
    match name, method:
        case "gradient_filter", GradientFilter():
            option = method.radius
            activations = stored_size(_published_patches(layer, shape, option), ACCOUNTED)
        case "lora", Lora():  # without A X, which dB needs
            option = min(method.rank, outputs, inputs)
            activations = stored_size(math.prod(shape), ACCOUNTED)
            weights += option * (outputs + inputs)
        case "lora_fa", LoraFa():
            weights += min(method.rank, outputs, inputs) * (outputs + inputs)
    if r.weight is not None:
        weights = r.weight * (outputs + inputs)
    work = method.flops(layer, shape, r)
    counts = _published(name, Sizes.from_layer(layer, shape), r, option)
    return LayerAccount(
        activations.elements, activations.bytes, weights, work, stored.bytes, counts
    )


def _published(
    name: str, sizes: Sizes, r: Ranks, option: int
) -> dict[str, tuple[FormulaCount, ...] | str]:
    counts: dict[str, tuple[FormulaCount, ...] | str] = {}
    for dialect, spec in DIALECTS.items():
        if name in spec.methods:
            try:
                counts[dialect] = published(dialect, name, sizes, r, option)
            except NoFormula as reason:
                counts[dialect] = str(reason)
    return counts


def _weight(layer: nn.Module) -> Tensor:
    assert isinstance(layer, (nn.Linear, nn.Conv2d))
    return layer.weight


def _published_patches(layer: nn.Module, shape: Shape, radius: int) -> int:
    """`B C p_h p_w` with the padding of the published code."""
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
