"""WASI: the weight in two factors as in WSI, the input as a core and bases as in ASI."""

import itertools

from torch import nn

from ondevice_bench.errors import Refusal
from ondevice_bench.methods.asi import Asi
from ondevice_bench.methods.compressed_input import no_plain_layer
from ondevice_bench.methods.hosvd import HosvdScheme
from ondevice_bench.methods.iteration_schedule import IterationSchedule
from ondevice_bench.methods.layer_flops import (
    LayerFlops,
    Sizes,
    factored_flops,
    mean,
    span_flops,
    subspace_flops,
    tucker_pair,
)
from ondevice_bench.methods.lowrank import Update
from ondevice_bench.methods.lowrank_kinds import low_rank, not_factorable, weight_matrix
from ondevice_bench.methods.method import LayerMethod, ReplacementLayer
from ondevice_bench.methods.ranks import RankChoice, Ranks
from ondevice_bench.methods.subspace import has_small_span
from ondevice_bench.specs.rank_rules import ACTIVATION, WEIGHT


class Wasi(LayerMethod):
    """Weight and activation subspace iteration."""

    ranked = frozenset({ACTIVATION, WEIGHT})
    reference = HosvdScheme

    def __init__(self, *, update: str, sequential: bool, every: int) -> None:
        if update == "factors" and every > 1:
            raise Refusal("`every` needs the subspace update: `update: factors` has no iteration")
        self.update: Update = "factors" if update == "factors" else "subspace"
        self.period = every
        self._places = itertools.count()
        self._activations = Asi(sequential=sequential)

    def applies(self, layer: nn.Module) -> str | None:
        """Linear layers, and convolutions without groups."""
        return no_plain_layer(layer, nn.Linear, nn.Conv2d) or not_factorable(layer)

    def replace(self, layer: nn.Module, choice: RankChoice, name: str) -> ReplacementLayer:
        """The layer in factors, with iterated bases for its input."""
        rank = choice.of_weight(weight_matrix(layer))
        scheme = self._activations.make_scheme(layer, choice)
        schedule = IterationSchedule(self.period, next(self._places) % self.period)
        return low_rank(layer, rank, scheme, name, update=self.update, schedule=schedule)

    def stored(self, layer: nn.Module, shape: tuple[int, ...], ranks: tuple[int, ...]) -> int:
        """Core and bases."""
        return self._activations.stored(layer, shape, ranks)

    def flops(self, layer: nn.Module, shape: tuple[int, ...], ranks: Ranks) -> LayerFlops:
        """ASI's compression; the gradient stays in two factors, which the update multiplies."""
        sizes, rank = Sizes.from_layer(layer, shape), ranks.weight
        assert rank is not None
        stored = self._activations.flops(layer, shape, ranks)
        core = self._activations.core_ranks(layer, shape, ranks.activation)
        features = core[-1] if sizes.geometry is None else core[1]
        # G times a thin matrix, or Gᵀ: through the features, then through P
        times = 2 * features * sizes.taps * rank * (sizes.inputs + sizes.outputs)
        pair = LayerFlops(
            decomposition=stored.decomposition,
            weight_gradient=tucker_pair(sizes, core),
            factorisation=stored.factorisation,
        )
        flops = factored_flops(sizes, rank) + pair
        if self.update == "factors":
            return flops + LayerFlops(weight_gradient=2 * times)
        if has_small_span(sizes.outputs, rank, features * sizes.taps):
            iteration = span_flops(sizes, rank, features)
        else:
            iteration = subspace_flops(sizes, rank) + LayerFlops(update=3 * times)
        between = LayerFlops(update=times)
        return flops + mean([iteration, *[between] * (self.period - 1)])

    def notes(self) -> list[str]:
        """Which part of the work a single step has."""
        if self.period == 1:
            return []
        note = (
            f"each weight is iterated once in {self.period} steps. The layers take turns, so that "
            "all steps cost nearly the same: times and FLOPs are those of such steps"
        )
        return [note]
