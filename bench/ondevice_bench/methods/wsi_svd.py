"""WSI with a truncated SVD of the updated weight at every step, in place of an iteration.

The dense gradient lies in the layer until the update, which forms the dense weight, too.
"""

import math

from torch import nn

from ondevice_bench.methods.compressed_input import no_plain_layer
from ondevice_bench.methods.layer_flops import LayerFlops, Sizes, factored_flops, leading_flops
from ondevice_bench.methods.lowrank_kinds import low_rank, not_factorable, weight_matrix
from ondevice_bench.methods.method import LayerMethod, ReplacementLayer
from ondevice_bench.methods.ranks import RankChoice, Ranks
from ondevice_bench.specs.rank_rules import WEIGHT


class WsiSvd(LayerMethod):
    """The alternative to the subspace iteration: the best factors of each updated weight."""

    ranked = frozenset({WEIGHT})

    def applies(self, layer: nn.Module) -> str | None:
        """Linear layers, and convolutions without groups."""
        return no_plain_layer(layer, nn.Linear, nn.Conv2d) or not_factorable(layer)

    def replace(self, layer: nn.Module, choice: RankChoice, name: str) -> ReplacementLayer:
        """The layer in factors."""
        rank = choice.of_weight(weight_matrix(layer))
        return low_rank(layer, rank, None, name, update="svd")

    def stored(self, layer: nn.Module, shape: tuple[int, ...], ranks: tuple[int, ...]) -> int:
        """The whole input."""
        return math.prod(shape)

    def flops(self, layer: nn.Module, shape: tuple[int, ...], ranks: Ranks) -> LayerFlops:
        """The dense gradient, `L R`, and the decomposition of the updated weight."""
        sizes, rank = Sizes.from_layer(layer, shape), ranks.weight
        assert rank is not None
        matrix = (sizes.outputs, sizes.columns)
        vectors = leading_flops(matrix, 0, rank)
        product = 2 * math.prod(matrix) * rank  # L R before the update, LᵀW after it
        return factored_flops(sizes, rank) + LayerFlops(
            weight_gradient=sizes.product,
            update=2 * product + vectors.decomposition,
            factorisation=vectors.factorisation,
        )
