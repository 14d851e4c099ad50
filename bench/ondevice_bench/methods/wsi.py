"""WSI: the weight in two factors, updated by one subspace iteration a step; the input exact."""

import math
from dataclasses import replace

from torch import nn

from ondevice_bench.measure import factorisation_flops
from ondevice_bench.methods.compressed_input import no_plain_layer
from ondevice_bench.methods.layer_flops import LayerFlops, Sizes, factored_flops, subspace_flops
from ondevice_bench.methods.lowrank import Update
from ondevice_bench.methods.lowrank_kinds import low_rank, not_factorable, weight_matrix
from ondevice_bench.methods.method import LayerMethod, ReplacementLayer
from ondevice_bench.methods.ranks import RankChoice, Ranks
from ondevice_bench.methods.thin_products import computes_blocks
from ondevice_bench.specs.rank_rules import WEIGHT


class Wsi(LayerMethod):
    """Weight subspace iteration; `update: factors` trains L and R as ordinary parameters."""

    ranked = frozenset({WEIGHT})

    def __init__(self, *, update: str) -> None:
        self.update: Update = "factors" if update == "factors" else "subspace"

    def applies(self, layer: nn.Module) -> str | None:
        """Linear layers, and convolutions without groups."""
        return no_plain_layer(layer, nn.Linear, nn.Conv2d) or not_factorable(layer)

    def replace(self, layer: nn.Module, choice: RankChoice, name: str) -> ReplacementLayer:
        """The layer in factors."""
        rank = choice.of_weight(weight_matrix(layer))
        return low_rank(layer, rank, None, name, update=self.update)

    def stored(self, layer: nn.Module, shape: tuple[int, ...], ranks: tuple[int, ...]) -> int:
        """The whole input."""
        return math.prod(shape)

    def flops(self, layer: nn.Module, shape: tuple[int, ...], ranks: Ranks) -> LayerFlops:
        """The products of the exact gradient by the cheaper way; or two gradients."""
        sizes, rank = Sizes.from_layer(layer, shape), ranks.weight
        assert rank is not None
        rows, columns = sizes.outputs, sizes.columns
        flops = factored_flops(sizes, rank)
        if self.update == "factors":
            return replace(flops, weight_gradient=2 * flops.forward)
        blocks = 2 * sizes.positions * rows * columns
        if computes_blocks(sizes.positions, rows, columns):
            products = flops.forward + 8 * rows * columns * rank
        else:
            products = 5 * flops.forward
        thin = LayerFlops(
            weight_gradient=products + blocks,
            update=2 * columns * rank * rank,  # (GᵀL)(R Q)
            factorisation=factorisation_flops.triangular(rank, columns),
        )
        return flops + thin + subspace_flops(sizes, rank)
