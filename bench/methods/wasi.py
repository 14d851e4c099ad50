"""WASI: the weight in two factors as in WSI, the input in a core and bases as in ASI."""

from torch import nn

from bench.methods.asi import Asi
from bench.methods.hosvd import HosvdScheme
from bench.methods.lowrank import low_rank, not_factorable, weight_matrix
from bench.methods.ranks import ACTIVATION, WEIGHT, Choice
from bench.methods.stored import no_plain_layer


class Wasi:
    """Weight and activation subspace iteration."""

    replaces_weight = True
    ranked = frozenset({ACTIVATION, WEIGHT})
    reference = HosvdScheme

    def __init__(self, *, update: str = "subspace", sequential: bool = False) -> None:
        self.factors = update == "factors"
        self._activations = Asi(sequential=sequential)

    def applies(self, layer: nn.Module) -> str | None:
        """Linear layers, and convolutions without groups."""
        return no_plain_layer(layer, nn.Linear, nn.Conv2d) or not_factorable(layer)

    def replace(self, layer: nn.Module, choice: Choice, name: str) -> nn.Module:
        """The layer in factors, with iterated bases for its input."""
        rank = choice.of_weight(weight_matrix(layer))
        scheme = self._activations.make_scheme(layer, choice)
        return low_rank(layer, rank, scheme, name, factors=self.factors)

    def stored(self, layer: nn.Module, shape: tuple[int, ...], ranks: tuple[int, ...]) -> int:
        """Core and bases."""
        return self._activations.stored(layer, shape, ranks)
