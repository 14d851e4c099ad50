"""FLOPs of convolutions (and HOSVD's of linear layers) as ASI's paper counts them, to the digit.

Inputs are `(B, C, H, W)`, outputs `(B, C', H', W')`; ranks are in the order of the input's modes.
Most of it is in multiply-adds.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction

from ondevice_bench.methods.layer_flops import Shape, Sizes
from ondevice_bench.methods.ranks import Ranks
from ondevice_bench.papers.counting.linear import WRONG_INDEX
from ondevice_bench.papers.counting.published import FormulaCount, NoFormula

_FORWARD = "multiply-adds; at the input's resolution; groups are ignored"
_BACKWARD = "multiply-adds; the input gradient is missing; groups are ignored"
_GRADIENT = "multiply-adds; groups are ignored"


@dataclass(frozen=True)
class ConvolutionSizes:
    """A convolution in the papers' letters; its stride and groups are in no formula."""

    batch: int
    channels: int
    height: int
    width: int
    outputs: int
    output_places: int  # H'W'
    taps: int  # kh kw

    @staticmethod
    def from_sizes(sizes: Sizes) -> "ConvolutionSizes":
        """NoFormula for a linear layer."""
        if sizes.geometry is None:
            raise NoFormula("counts convolutions only")
        batch, channels, height, width = sizes.shape
        places = math.prod(sizes.output)
        return ConvolutionSizes(batch, channels, height, width, sizes.outputs, places, sizes.taps)

    @property
    def shape(self) -> Shape:
        """Of the input."""
        return self.batch, self.channels, self.height, self.width


def forward(conv: ConvolutionSizes) -> int:
    """`kh kw C' C H W B`."""
    return conv.taps * conv.outputs * math.prod(conv.shape)


def backward(conv: ConvolutionSizes) -> int:
    """`kh kw C C' H' W' B`."""
    return conv.taps * conv.channels * conv.outputs * conv.output_places * conv.batch


def iterations(conv: ConvolutionSizes, ranks: Shape) -> int:
    """ASI's overhead: two products and a cube for each mode."""
    return sum(2 * math.prod(conv.shape) * rank + rank**3 for rank in ranks)


def decompositions(shape: Shape, *, exchanged: bool = True) -> int:
    """HOSVD's overhead over all modes: `max² min` as published, `max min²` as it should be."""
    whole, total = math.prod(shape), 0
    for size in shape:
        more, less = max(size, whole // size), min(size, whole // size)
        total += more * more * less if exchanged else more * less * less
    return total


def tucker_gradient(conv: ConvolutionSizes, ranks: Shape) -> int:
    """`dW` from core and bases, in multiply-adds."""
    first, second, _, fourth = ranks
    return (
        first * conv.outputs * conv.output_places * conv.batch
        + conv.height * math.prod(ranks)
        + conv.height * conv.width * first * second * fourth
        + conv.outputs * first * second * conv.taps * conv.output_places
        + conv.outputs * conv.channels * conv.taps * second
    )


def filter_forward(conv: ConvolutionSizes, radius: int) -> int:
    """Vanilla's, and the additions within each patch of the input."""
    patches = Fraction(conv.height * conv.width, radius**2)
    additions = patches * (radius**2 - 1) * conv.channels * conv.batch
    return forward(conv) + round(additions)


def filter_backward(conv: ConvolutionSizes, radius: int) -> int:
    """Averages, sums of the kernel, and a product at full resolution."""
    patches = Fraction(conv.output_places, radius**2)
    return (
        round(2 * conv.batch * conv.outputs * patches)
        + conv.outputs * conv.channels * (conv.taps - 1)
        + forward(conv)
    )


def _plain(conv: ConvolutionSizes) -> FormulaCount:
    return FormulaCount("forward", forward(conv), _FORWARD, "MAC")


def _vanilla(conv: ConvolutionSizes, _: Ranks) -> list[FormulaCount]:
    return [_plain(conv), FormulaCount("backward", backward(conv), _BACKWARD, "MAC")]


def _asi(conv: ConvolutionSizes, ranks: Ranks) -> list[FormulaCount]:
    return [
        _plain(conv),
        FormulaCount(
            "decomposition",
            iterations(conv, ranks.activation),
            "multiply-adds; the contraction to the core is missing",
            "MAC",
        ),
        FormulaCount("weight_gradient", tucker_gradient(conv, ranks.activation), _GRADIENT, "MAC"),
    ]


def _hosvd(conv: ConvolutionSizes, ranks: Ranks) -> list[FormulaCount]:
    return [
        _plain(conv),
        FormulaCount(
            "decomposition",
            decompositions(conv.shape),
            "the longer and the shorter side of each unfolding are exchanged: the longer one "
            "should not be squared",
            corrected=decompositions(conv.shape, exchanged=False),
        ),
        FormulaCount("weight_gradient", tucker_gradient(conv, ranks.activation), _GRADIENT, "MAC"),
    ]


def gradient_filter(conv: ConvolutionSizes, radius: int) -> list[FormulaCount]:
    """Gradient filtering's rows; its radius is an option, none of `Ranks`."""
    return [
        FormulaCount("forward", filter_forward(conv, radius), _FORWARD, "MAC"),
        FormulaCount(
            "backward",
            filter_backward(conv, radius),
            "multiply-adds; the product is at full resolution, not on the grid of patches",
            "MAC",
        ),
    ]


def linear_hosvd(sizes: Sizes) -> list[FormulaCount]:
    """HOSVD of a linear layer's input of three dimensions."""
    if sizes.geometry is not None or len(sizes.shape) != 3:  # B, N, I
        raise NoFormula("counts linear layers on inputs of three dimensions only")
    batch, tokens, inputs = sizes.shape
    return [
        FormulaCount("forward", batch * inputs * sizes.outputs * (2 * tokens - 1), WRONG_INDEX),
        FormulaCount(
            "decomposition",
            decompositions(sizes.shape, exchanged=False),
            "an order of magnitude, no count",
        ),
    ]


METHODS: Mapping[str, Callable[[ConvolutionSizes, Ranks], list[FormulaCount]]] = {
    "vanilla": _vanilla,
    "asi": _asi,
    "hosvd": _hosvd,
}
