"""Accounted figures, as papers give them: elements of treated layers alone, by closed formulas.

Activations are the stored elements of each treated layer's input, weights what stands for its
weight. Biases, gradients, optimizer state, temporaries and all other layers are left out; layers
that share an input (q, k and v) count it once each. What a run measures is more.
"""

import math
from dataclasses import dataclass

from torch import Tensor, nn

from bench.methods.convolution import Geometry
from bench.methods.ranks import Ranks
from bench.methods.treatment import LayerMethod, declared_work
from bench.methods.work import Shape, Sizes, Work, plain_work


@dataclass(frozen=True)
class Accounted:
    """One layer's account: elements, and FLOPs of a training step and an inference."""

    activation_elements: int
    weight_elements: int
    work: Work | None  # None where the method declares no formulas


def vanilla_account(layer: nn.Module, shape: Shape) -> Accounted:
    """Ordinary training of the layer."""
    return Accounted(math.prod(shape), _weight(layer).numel(), plain_work(Sizes.of(layer, shape)))


def account(name: str, method: LayerMethod, layer: nn.Module, shape: Shape, r: Ranks) -> Accounted:
    """The layer under a method; `name` decides where the published table departs from `stored`."""
    outputs, inputs = _weight(layer).flatten(1).shape
    weights = _weight(layer).numel()
    match name:
        case "gradient_filter":
            activations = _published_patches(layer, shape, getattr(method, "radius", 1))
        case "lora":  # leaves out A X, which dB needs
            activations = math.prod(shape)
            weights += min(getattr(method, "rank", 1), outputs, inputs) * (outputs + inputs)
        case _:
            activations = method.stored(layer, shape, r.activation)
    if r.weight is not None:
        weights = r.weight * (outputs + inputs)
    return Accounted(activations, weights, declared_work(method, layer, shape, r))


def _weight(layer: nn.Module) -> Tensor:
    assert isinstance(layer, (nn.Linear, nn.Conv2d))
    return layer.weight


def _published_patches(layer: nn.Module, shape: Shape, radius: int) -> int:
    """`B C p_h p_w` with the padding that published code gives the input."""
    assert isinstance(layer, nn.Conv2d)
    geometry = Geometry.of(layer)
    patches = 1
    for size, out, stride in zip(
        shape[2:], geometry.output((shape[2], shape[3])), geometry.stride, strict=True
    ):
        step = radius * stride
        padding = math.ceil((math.ceil(out / radius) * step - size) / 2)
        patches *= (size + 2 * padding - step) // step + 1
    return shape[0] * shape[1] * patches
