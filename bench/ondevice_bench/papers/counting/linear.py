"""FLOPs of linear layers exactly as WASI's paper counts them, even if its formula is wrong.

Inputs are `(B, N, I)` or `(B, H, W, I)`. `ranks` are the Tucker ranks in the order of these modes.
`rank` is the rank of the weight. An inner product has n multiplications and n - 1 additions.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from ondevice_bench.methods.layer_flops import Shape, Sizes
from ondevice_bench.methods.ranks import Ranks
from ondevice_bench.papers.counting.published import FormulaCount, NoFormula

WRONG_INDEX = "contracts the wrong index"


@dataclass(frozen=True)
class LinearSizes:
    """The sizes of a layer, as papers name them: batch, tokens (or rows and columns), features."""

    batch: int
    tokens: tuple[int, ...]
    inputs: int
    outputs: int

    @staticmethod
    def from_sizes(sizes: Sizes) -> "LinearSizes":
        """The sizes of a linear layer; NoFormula unless its input has three or four dimensions."""
        batch, *tokens, _ = sizes.shape
        if sizes.geometry is not None:
            raise NoFormula("counts linear layers only")
        if len(tokens) not in (1, 2):
            raise NoFormula("counts inputs of three or four dimensions only")
        return LinearSizes(batch, tuple(tokens), sizes.inputs, sizes.outputs)

    @property
    def rows(self) -> int:
        """`BN`, or `BHW`."""
        return self.batch * math.prod(self.tokens)


def subspace(n: int, m: int, rank: int) -> int:
    """One subspace iteration on an n by m matrix, with orthogonalisation."""
    orthogonal = 2 * max(n, rank) * min(n, rank) ** 2
    return n * rank * (2 * m - 1) + m * rank * (2 * n - 1) + orthogonal


def svd(n: int, m: int) -> int:
    """A decomposition of an n by m matrix."""
    more, less = max(n, m), min(n, m)
    return 4 * more * less**2 + 8 * less**3


def dense(rows: int, inputs: int, outputs: int) -> int:
    """`rows` times a matrix."""
    return rows * outputs * (2 * inputs - 1)


def frozen_forward(layer: LinearSizes) -> int:
    """Forward of a layer that does not train."""
    if len(layer.tokens) == 1:
        return layer.batch * layer.inputs * layer.outputs * (2 * layer.tokens[0] - 1)
    return 2 * layer.rows * layer.inputs * layer.outputs


def vanilla_input_gradient(layer: LinearSizes) -> int:
    """`dX`. In four dimensions the formula sums over columns."""
    if len(layer.tokens) == 1:
        return dense(layer.rows, layer.outputs, layer.inputs)
    height, width = layer.tokens
    return layer.batch * height * layer.outputs * layer.inputs * (2 * width - 1)


def iterations(layer: LinearSizes, ranks: Shape) -> int:
    """ASI's overhead. Features come second, but ranks have the order of the modes."""
    modes = (layer.batch, layer.inputs, *layer.tokens)
    whole = math.prod(modes)
    return sum(subspace(size, whole // size, rank) for size, rank in zip(modes, ranks, strict=True))


def tucker_gradient(layer: LinearSizes, ranks: Shape) -> int:
    """`dW` from core and bases, in multiply-adds."""
    inputs, outputs = layer.inputs, layer.outputs
    if len(layer.tokens) == 1:
        (tokens,), (first, second, third) = layer.tokens, ranks
        return (
            layer.rows * outputs * first
            + first * second * third * tokens
            + first * third * inputs * tokens
            + inputs * outputs * tokens * first
        )
    (height, width), (first, second, third, fourth) = layer.tokens, ranks
    return (
        layer.rows * first * outputs
        + height * math.prod(ranks)
        + width * third * first * height * outputs
        + inputs * fourth * first * height * third
        + first * third * height * inputs * outputs
    )


def factored(layer: LinearSizes, rank: int) -> int:
    """A weight in two factors, so two products."""
    return dense(layer.rows, layer.inputs, rank) + dense(layer.rows, rank, layer.outputs)


def factored_input_gradient(layer: LinearSizes, rank: int) -> int:
    """`dX` through the factors. In three dimensions it is the count of forward."""
    if len(layer.tokens) == 1:
        return factored(layer, rank)
    return 2 * layer.rows * rank * (layer.inputs + layer.outputs)


def weight_gradient(layer: LinearSizes) -> int:
    """The dense `dW`."""
    return dense(layer.outputs, layer.rows, layer.inputs)


def lora_forward(layer: LinearSizes, rank: int) -> int:
    """The layer, the detour, and their sum."""
    detour = dense(layer.rows, layer.inputs, rank) + dense(layer.rows, rank, layer.outputs)
    return dense(layer.rows, layer.inputs, layer.outputs) + detour + 2 * layer.rows * layer.outputs


def lora_backward(layer: LinearSizes, rank: int) -> int:
    """Only the gradients of the detour."""
    return (
        dense(rank, layer.rows, layer.outputs)
        + dense(layer.rows, layer.outputs, rank)
        + dense(rank, layer.rows, layer.inputs)
        + dense(layer.rows, rank, layer.inputs)
    )


def svd_each_step(layer: LinearSizes, rank: int) -> tuple[int, int]:
    """Forward and backward of a method that decomposes its weight at every step, unlike WSI."""
    products = 2 * layer.rows * rank * (layer.inputs + layer.outputs)
    forward = svd(layer.outputs, layer.inputs) + products
    return forward, factored(layer, rank) + weight_gradient(layer)


def _plain(layer: LinearSizes) -> list[FormulaCount]:
    count = dense(layer.rows, layer.inputs, layer.outputs)
    return [FormulaCount("forward", count), FormulaCount("inference", count)]


def _vanilla(layer: LinearSizes, _: Ranks) -> list[FormulaCount]:
    gradient = FormulaCount("input_gradient", vanilla_input_gradient(layer))
    if len(layer.tokens) > 1:
        gradient = FormulaCount("input_gradient", gradient.count, WRONG_INDEX)
    return [
        *_plain(layer),
        gradient,
        FormulaCount("weight_gradient", weight_gradient(layer)),
    ]


def _compressing(layer: LinearSizes, ranks: Ranks) -> list[FormulaCount]:
    return [
        FormulaCount(
            "decomposition",
            iterations(layer, ranks.activation),
            "ranks paired with the wrong modes; the contraction to the core is missing; "
            "orthogonalisation is included",
        ),
        FormulaCount(
            "weight_gradient",
            tucker_gradient(layer, ranks.activation),
            "multiply-adds, all other quantities are FLOPs; not the cheapest order of contraction",
            "MAC",
        ),
    ]


def _asi(layer: LinearSizes, ranks: Ranks) -> list[FormulaCount]:
    gradient = dense(layer.rows, layer.outputs, layer.inputs)
    return [
        *_plain(layer),
        *_compressing(layer, ranks),
        FormulaCount("input_gradient", gradient),
    ]


def _factors(layer: LinearSizes, rank: int) -> list[FormulaCount]:
    count = factored(layer, rank)
    return [
        FormulaCount("forward", count),
        FormulaCount("inference", count),
        FormulaCount(
            "input_gradient",
            factored_input_gradient(layer, rank),
            "forward's count is used again; it is wrong by the difference of outputs and inputs"
            if len(layer.tokens) == 1
            else "right",
        ),
        FormulaCount(
            "update",
            subspace(layer.outputs, layer.inputs, rank),
            "only the iteration of a step, with orthogonalisation; without the first SVD and "
            "without the update of outputs x inputs",
        ),
    ]


def _wsi(layer: LinearSizes, ranks: Ranks) -> list[FormulaCount]:
    assert ranks.weight is not None
    difference = "right for the dense gradient; the exact count is for the thin products"
    gradient = FormulaCount("weight_gradient", weight_gradient(layer), difference)
    return [*_factors(layer, ranks.weight), gradient]


def _wasi(layer: LinearSizes, ranks: Ranks) -> list[FormulaCount]:
    assert ranks.weight is not None
    rows, gradient = _compressing(layer, ranks)
    difference = f"{gradient.difference}; the executed step has it in two factors"
    return [*_factors(layer, ranks.weight), rows, replace(gradient, difference=difference)]


def lora(layer: LinearSizes, rank: int) -> list[FormulaCount]:
    """LoRA's rows. Its rank is an option, not one of `Ranks`."""
    return [
        FormulaCount("forward", lora_forward(layer, rank)),
        FormulaCount(
            "backward",
            lora_backward(layer, rank),
            "the frozen layer's own input gradient is missing",
        ),
    ]


METHODS: Mapping[str, Callable[[LinearSizes, Ranks], list[FormulaCount]]] = {
    "vanilla": _vanilla,
    "asi": _asi,
    "wsi": _wsi,
    "wasi": _wasi,
}
