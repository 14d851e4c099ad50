"""FLOPs of backward, as the authors of gradient filtering count them.

A convolution has `C` channels, `C'` outputs, `t` kernel positions and `P` places of its output. For
the filter, `t` is 1 and `P` is the number of patches. In a grouped convolution, an output reads
`C / groups` channels. The counts are those of one image, times the batch.
"""

import math
from collections.abc import Callable, Mapping

from ondevice_bench.methods.layer_flops import Sizes
from ondevice_bench.papers.counting.published import FormulaCount, NoFormula

_AVERAGES = "an average over the patches is included"
_ADDITIONS = f"additions count once for all positions of the kernel; {_AVERAGES}"
_KERNEL = "the sums over the kernel are included"
_HEAD = "three FLOPs for each weight of the head, not four"


def weight_gradient(sizes: Sizes, radius: int | None) -> int:
    """`C C' (t P + P - 1) + C' (H W + P)`; `radius` is None for vanilla."""
    taps, patches = (sizes.taps, _places(sizes)) if radius is None else (1, _patches(sizes, radius))
    products = _pairs(sizes) * (taps * patches + patches - 1)
    return sizes.shape[0] * (products + sizes.outputs * (_places(sizes) + patches))


def input_gradient(sizes: Sizes) -> int:
    """`C H W (2 t C' - 1)`, at the resolution of the output."""
    reads = sizes.outputs // sizes.groups
    return sizes.shape[0] * sizes.inputs * _places(sizes) * (2 * sizes.taps * reads - 1)


def filtered_input_gradient(sizes: Sizes, radius: int) -> int:
    """`C P (2 C' - 1)`, and `C C' (t - 1)` once for the sums over the kernel."""
    reads = sizes.outputs // sizes.groups
    patches = sizes.shape[0] * _patches(sizes, radius)
    return sizes.inputs * patches * (2 * reads - 1) + _pairs(sizes) * (sizes.taps - 1)


def head(batch: int, features: int, classes: int) -> FormulaCount:
    """Backward of the linear layer that gives the classes."""
    return FormulaCount("head", 3 * batch * features * classes, _HEAD)


def _pairs(sizes: Sizes) -> int:
    return sizes.inputs * sizes.outputs // sizes.groups


def _places(sizes: Sizes) -> int:
    return math.prod(sizes.output)


def _patches(sizes: Sizes, radius: int) -> int:
    return math.prod(-(-side // radius) for side in sizes.output)


def _vanilla(sizes: Sizes, _: int) -> list[FormulaCount]:
    return [
        FormulaCount("input_gradient", input_gradient(sizes)),
        FormulaCount("weight_gradient", weight_gradient(sizes, None), _ADDITIONS),
    ]


def _filtered(sizes: Sizes, radius: int) -> list[FormulaCount]:
    return [
        FormulaCount("input_gradient", filtered_input_gradient(sizes, radius), _KERNEL),
        FormulaCount("weight_gradient", weight_gradient(sizes, radius), _AVERAGES),
    ]


def backward(method: str, sizes: Sizes, radius: int) -> list[FormulaCount]:
    """The rows of a convolution with the method; NoFormula if the layer is linear."""
    if sizes.geometry is None:
        raise NoFormula("counts convolutions only")
    return METHODS[method](sizes, radius)


METHODS: Mapping[str, Callable[[Sizes, int], list[FormulaCount]]] = {
    "vanilla": _vanilla,
    "gradient_filter": _filtered,
}
