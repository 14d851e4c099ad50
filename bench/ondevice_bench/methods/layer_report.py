"""The report on a replaced layer: its ranks, what it stores by definition, and its FLOPs."""

import math
from dataclasses import dataclass

from ondevice_bench.methods.layer_flops import LayerFlops
from ondevice_bench.methods.method import activation_ranks
from ondevice_bench.methods.ranks import Ranks
from ondevice_bench.methods.replacement import Replacement
from ondevice_bench.methods.stored_size import stored_size
from ondevice_bench.specs.rank_rules import ACTIVATION


@dataclass(frozen=True)
class LayerReport:
    """The report on one layer; its shape, sizes and FLOPs are None before the first forward."""

    name: str
    ranks: Ranks
    shape: tuple[int, ...] | None = None
    elements: int | None = None  # of all stored tensors, of whatever type
    stored_bytes: int | None = None
    input_bytes: int | None = None  # of the whole input
    flops: LayerFlops | None = None  # None, too, if the method has no formulas

    @property
    def is_called(self) -> bool:
        """Whether the layer has seen an input in training. If not, the method changed nothing."""
        return self.shape is not None


def report_on(name: str, replacement: Replacement) -> LayerReport:
    """The report on the layer of this name."""
    shape, ranks = replacement.layer.input_shape, ranks_of(replacement)
    if shape is None:
        return LayerReport(name, ranks)
    method, plain = replacement.method, replacement.plain
    dtype = replacement.dtype
    size = stored_size(method.stored(plain, shape, ranks.activation), dtype)
    return LayerReport(
        name,
        ranks,
        shape,
        elements=size.elements,
        stored_bytes=size.bytes,
        input_bytes=math.prod(shape) * dtype.itemsize,
        flops=method.flops(plain, shape, ranks),
    )


def ranks_of(replacement: Replacement) -> Ranks:
    """The ranks of the layer. Activations have ranks after the first forward."""
    ranks, shape = replacement.choice.ranks or Ranks(), replacement.layer.input_shape
    if shape is None or ACTIVATION not in replacement.method.ranked:
        return ranks
    return Ranks(activation_ranks(replacement.method, replacement.choice, shape), ranks.weight)
