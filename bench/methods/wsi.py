"""WSI: the weight in two factors, updated by one subspace iteration a step; the input exact."""

import math

from torch import nn

from bench.methods.lowrank import low_rank, not_factorable, weight_matrix
from bench.methods.ranks import WEIGHT, Choice
from bench.methods.stored import no_plain_layer


class Wsi:
    """Weight subspace iteration; `update: factors` trains L and R as ordinary parameters."""

    replaces_weight = True
    ranked = frozenset({WEIGHT})

    def __init__(self, *, update: str = "subspace") -> None:
        self.factors = update == "factors"

    def applies(self, layer: nn.Module) -> str | None:
        """Linear layers, and convolutions without groups."""
        return no_plain_layer(layer, nn.Linear, nn.Conv2d) or not_factorable(layer)

    def replace(self, layer: nn.Module, choice: Choice, name: str) -> nn.Module:
        """The layer in factors."""
        rank = choice.of_weight(weight_matrix(layer))
        return low_rank(layer, rank, None, name, factors=self.factors)

    def stored(self, layer: nn.Module, shape: tuple[int, ...], ranks: tuple[int, ...]) -> int:
        """The whole input."""
        return math.prod(shape)
