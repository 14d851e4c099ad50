"""ASI: as HOSVD, but with one warm-started subspace iteration per step, not a decomposition."""

import math

from torch import Tensor, nn

from ondevice_bench.methods.bases import BasesScheme
from ondevice_bench.methods.compressed_input import compress_input, no_plain_layer
from ondevice_bench.methods.convolution import Geometry
from ondevice_bench.methods.hosvd import HosvdScheme
from ondevice_bench.methods.layer_flops import LayerFlops, iteration_flops, tucker_flops
from ondevice_bench.methods.method import LayerMethod, ReplacementLayer
from ondevice_bench.methods.ranks import RankChoice, Ranks
from ondevice_bench.methods.scheme import StoredTensors
from ondevice_bench.methods.tensors import (
    apply_gram,
    mode_product,
    orthonormal,
    project,
    require_finite,
    sketch,
    working,
)
from ondevice_bench.methods.tucker import TuckerScheme, compact
from ondevice_bench.specs.rank_rules import ACTIVATION


class AsiScheme(BasesScheme):
    """Starts each step from the bases of the last step: `state` has one for each mode."""

    def __init__(self, *, sequential: bool = False, channels: int = -1) -> None:
        super().__init__()
        self.sequential = sequential
        self.channels = channels

    def store(self, x: Tensor, geometry: Geometry | None) -> StoredTensors:
        """One iteration for every mode."""
        tensor = working(x)
        require_finite(tensor.sum())
        core, factors = self._sequential(tensor) if self.sequential else self._parallel(tensor)
        return compact(core, factors, x.dtype)

    def _parallel(self, x: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Every mode's unfolding of the input itself."""
        ranks = self.ranks(x.shape)
        factors = tuple(self._iterate(x, mode, rank) for mode, rank in enumerate(ranks))
        return project(x, factors), factors

    def _sequential(self, x: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
        """The sequential variant: each mode works on the tensor that earlier modes have reduced."""
        ranks = self.ranks(x.shape)
        factors: dict[int, Tensor] = {}
        for mode in sequence(x.ndim, self.channels):
            others = x.numel() // x.shape[mode]
            factors[mode] = self._iterate(x, mode, min(ranks[mode], others))
            x = mode_product(x, factors[mode].T, mode)
        return x, tuple(factors[mode] for mode in range(len(ranks)))

    def _iterate(self, x: Tensor, mode: int, rank: int) -> Tensor:
        """`orth(X_(m) X_(m)ᵀ U)` from the last basis, or from Gaussian columns at the start."""
        basis = self._last_basis(mode, x.shape[mode], rank)
        if basis is not None:
            return orthonormal(apply_gram(x, mode, basis.to(x.dtype)))
        assert self.choice is not None
        stream = self.choice.stream(f"mode {mode}")
        return orthonormal(sketch(x, mode, rank, stream))

    def _last_basis(self, mode: int, size: int, rank: int) -> Tensor | None:
        """The basis of the state, or its first rows; None if it is too small."""
        if not self.state:
            return None
        basis = self.state[mode]
        return basis[:size, :rank] if basis.shape[0] >= size and basis.shape[1] >= rank else None

    def advance(self, stored: StoredTensors) -> None:
        """Store these bases as the state, except those of a smaller input."""
        factors, last = stored[1:], self.state
        if len(last) != len(factors) or all(
            len(new) >= len(old) for new, old in zip(factors, last, strict=True)
        ):
            self.state = factors


class Asi(LayerMethod):
    """Activation subspace iteration."""

    ranked = frozenset({ACTIVATION})
    reference = HosvdScheme
    keeps_weight = True

    def __init__(self, *, sequential: bool) -> None:
        self.sequential = sequential

    def applies(self, layer: nn.Module) -> str | None:
        """Linear layers and convolutions."""
        return no_plain_layer(layer, nn.Linear, nn.Conv2d)

    def replace(self, layer: nn.Module, choice: RankChoice, name: str) -> ReplacementLayer:
        """The layer with an iterated basis for each mode of its input."""
        return compress_input(layer, self.make_scheme(layer, choice), choice, name)

    def make_scheme(self, layer: nn.Module, choice: RankChoice) -> AsiScheme:
        """The scheme for the inputs of that layer."""
        channels = 1 if isinstance(layer, nn.Conv2d) else -1
        scheme = AsiScheme(sequential=self.sequential, channels=channels)
        scheme.choice = choice
        return scheme

    def stored(self, layer: nn.Module, shape: tuple[int, ...], ranks: tuple[int, ...]) -> int:
        """Core and factors."""
        return TuckerScheme.stored_elements(shape, self.core_ranks(layer, shape, ranks))

    def core_ranks(
        self, layer: nn.Module, shape: tuple[int, ...], ranks: tuple[int, ...]
    ) -> tuple[int, ...]:
        """The ranks of the core; in the sequential variant earlier modes bound the later ones."""
        return tuple(rank for _, _, rank in sorted(self._steps(layer, shape, ranks)))

    def flops(self, layer: nn.Module, shape: tuple[int, ...], ranks: Ranks) -> LayerFlops:
        """An iteration for every mode, the core, and `dW` in the low-rank space."""
        steps = self._steps(layer, shape, ranks.activation)
        iterations = (iteration_flops(reduced, mode, rank) for mode, reduced, rank in steps)
        core = self.core_ranks(layer, shape, ranks.activation)
        order = [(mode, rank) for mode, _, rank in steps] if self.sequential else None
        return tucker_flops(layer, shape, core, sum(iterations, LayerFlops()), order)

    def _steps(
        self, layer: nn.Module, shape: tuple[int, ...], ranks: tuple[int, ...]
    ) -> list[tuple[int, tuple[int, ...], int]]:
        """Each mode, the shape that its iteration sees, and its rank, in the order of the steps."""
        if not self.sequential:
            return [(mode, shape, rank) for mode, rank in enumerate(ranks)]
        left, steps = list(shape), []
        for mode in sequence(len(shape), 1 if isinstance(layer, nn.Conv2d) else -1):
            rank = min(ranks[mode], math.prod(left) // left[mode])
            steps.append((mode, tuple(left), rank))
            left[mode] = rank
        return steps


def sequence(dimensions: int, channels: int) -> tuple[int, ...]:
    """The order of the sequential variant: tokens (or rows and columns), batch, features."""
    features = channels % dimensions
    return (*(mode for mode in range(1, dimensions) if mode != features), 0, features)
