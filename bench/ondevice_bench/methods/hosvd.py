"""HOSVD: the leading singular vectors of every mode of the input, and the core between them."""

from torch import Tensor, nn

from ondevice_bench.methods.compressed_input import Saved, no_plain_layer, treated
from ondevice_bench.methods.convolution import Geometry
from ondevice_bench.methods.layer_flops import LayerFlops, leading_flops, tucker_flops
from ondevice_bench.methods.ranks import ACTIVATION, RankChoice, Ranks
from ondevice_bench.methods.tensors import leading, project, working
from ondevice_bench.methods.tucker import TuckerScheme, as_stored


class HosvdScheme(TuckerScheme):
    """Every factor anew at every step, from the input itself."""

    def store(self, x: Tensor, geometry: Geometry | None) -> Saved:
        """Decompose the input."""
        seen = working(x)
        ranks = self.ranks(x.shape)
        factors = tuple(leading(seen, mode, rank) for mode, rank in enumerate(ranks))
        return as_stored(project(seen, factors), factors, x.dtype)


class Hosvd:
    """Truncated higher-order SVD of the stored input."""

    ranked = frozenset({ACTIVATION})
    reference = HosvdScheme

    def applies(self, layer: nn.Module) -> str | None:
        """Linear layers and convolutions."""
        return no_plain_layer(layer, nn.Linear, nn.Conv2d)

    def replace(self, layer: nn.Module, choice: RankChoice, name: str) -> nn.Module:
        """The layer with its input decomposed."""
        return treated(layer, HosvdScheme(), choice, name)

    def stored(self, layer: nn.Module, shape: tuple[int, ...], ranks: tuple[int, ...]) -> int:
        """Core and factors."""
        return TuckerScheme.stored(shape, ranks)

    def flops(self, layer: nn.Module, shape: tuple[int, ...], ranks: Ranks) -> LayerFlops:
        """An eigenproblem for every mode, the core, and `dW` in the low-rank space."""
        modes = enumerate(ranks.activation)
        found = sum((leading_flops(shape, mode, rank) for mode, rank in modes), LayerFlops())
        return tucker_flops(layer, shape, ranks.activation, found)
