"""HOSVD: the leading singular vectors of every mode of the input, and the core between them."""

from torch import Tensor, nn

from ondevice_bench.methods.compressed_input import compress_input, no_plain_layer
from ondevice_bench.methods.convolution import Geometry
from ondevice_bench.methods.layer_flops import LayerFlops, tucker_flops
from ondevice_bench.methods.leading_block import leading_vectors, vectors_flops
from ondevice_bench.methods.method import LayerMethod, ReplacementLayer
from ondevice_bench.methods.ranks import RankChoice, Ranks
from ondevice_bench.methods.scheme import StoredTensors
from ondevice_bench.methods.tensors import project, working
from ondevice_bench.methods.tucker import TuckerScheme, compact
from ondevice_bench.specs.rank_rules import ACTIVATION


class HosvdScheme(TuckerScheme):
    """Computes every factor again in every step, from the input itself."""

    def store(self, x: Tensor, geometry: Geometry | None) -> StoredTensors:
        """Decompose the input."""
        tensor = working(x)
        assert self.choice is not None
        factors = tuple(
            leading_vectors(tensor, mode, rank, self.choice.stream(f"mode {mode}"))
            for mode, rank in enumerate(self.ranks(x.shape))
        )
        return compact(project(tensor, factors), factors, x.dtype)


class Hosvd(LayerMethod):
    """Truncated higher-order SVD of the stored input."""

    ranked = frozenset({ACTIVATION})
    reference = HosvdScheme
    keeps_weight = True

    def applies(self, layer: nn.Module) -> str | None:
        """Linear layers and convolutions."""
        return no_plain_layer(layer, nn.Linear, nn.Conv2d)

    def replace(self, layer: nn.Module, choice: RankChoice, name: str) -> ReplacementLayer:
        """The layer that stores a decomposition of its input."""
        return compress_input(layer, HosvdScheme(), choice, name)

    def stored(self, layer: nn.Module, shape: tuple[int, ...], ranks: tuple[int, ...]) -> int:
        """Core and factors."""
        return TuckerScheme.stored_elements(shape, ranks)

    def flops(self, layer: nn.Module, shape: tuple[int, ...], ranks: Ranks) -> LayerFlops:
        """The vectors of every mode, the core, and `dW` in the low-rank space."""
        modes = enumerate(ranks.activation)
        factors = sum((vectors_flops(shape, mode, rank) for mode, rank in modes), LayerFlops())
        return tucker_flops(layer, shape, ranks.activation, factors)
