"""The papers' own ways of counting, next to the exact count. `papers.dialects` has their names."""

from ondevice_bench.methods.layer_flops import Sizes
from ondevice_bench.methods.ranks import Ranks
from ondevice_bench.papers.counting import filtering, linear, maps
from ondevice_bench.papers.counting.published import FormulaCount, NoFormula

__all__ = ["FormulaCount", "NoFormula", "published"]


def published(
    dialect: str, method: str, sizes: Sizes, ranks: Ranks, option: int
) -> tuple[FormulaCount, ...]:
    """The FLOPs of a layer with a method, as the dialect counts them; NoFormula if it does not.

    `option` is the one number of the method that is not in `ranks`: the rank of LoRA, or the radius
    of gradient filtering.
    """
    if dialect == "gradient_filter":
        return tuple(filtering.backward(method, sizes, option))
    if dialect == "wasi":
        layer = linear.LinearSizes.from_sizes(sizes)
        if method == "lora":
            return tuple(linear.lora(layer, option))
        return tuple(linear.METHODS[method](layer, ranks))
    if method == "hosvd" and sizes.geometry is None:
        return tuple(maps.linear_hosvd(sizes))
    if method == "svd":
        raise NoFormula("counts elements of SVD, but no FLOPs")
    conv = maps.ConvolutionSizes.from_sizes(sizes)
    if method == "gradient_filter":
        return tuple(maps.gradient_filter(conv, option))
    return tuple(maps.METHODS[method](conv, ranks))
