"""SVD: the input as a matrix `(batch, others)`, truncated to its leading singular vectors."""

import math
from dataclasses import replace

import torch
from torch import Tensor, nn

from ondevice_bench.methods.compressed_input import compress_input, no_plain_layer
from ondevice_bench.methods.convolution import Geometry
from ondevice_bench.methods.layer_flops import LayerFlops, Sizes, leading_flops, plain_flops
from ondevice_bench.methods.method import LayerMethod, ReplacementLayer
from ondevice_bench.methods.ranks import RankChoice, Ranks
from ondevice_bench.methods.scheme import Scheme, StoredTensors
from ondevice_bench.methods.tensors import leading, mode_product, working
from ondevice_bench.specs.rank_rules import ACTIVATION


class SvdScheme(Scheme):
    """Stores `U_k S_k (B, k)` and `V_kᵀ (k, others)`."""

    @staticmethod
    def modes(dimensions: int) -> tuple[int, ...]:
        """Only the batch has a rank."""
        return (0,)

    def store(self, x: Tensor, geometry: Geometry | None) -> StoredTensors:
        """Truncate the first unfolding."""
        (rank,) = self.ranks(x.shape)
        matrix = working(x).reshape(len(x), -1)
        left = leading(matrix, 0, rank)  # (B, k)
        right = left.T @ matrix  # S_k V_kᵀ
        sizes = torch.linalg.vector_norm(right, dim=1)
        right = right / torch.where(sizes > 0, sizes, 1.0)[:, None]
        return (left * sizes).to(x.dtype), right.to(x.dtype)

    def restore(self, stored: StoredTensors, shape: tuple[int, ...]) -> Tensor:
        """`U_k S_k V_kᵀ`."""
        return (stored[0] @ stored[1]).view(shape)

    def linear_gradient(self, stored: StoredTensors, dy: Tensor) -> Tensor:
        """The layer's own formula on a batch of k."""
        left, right = stored
        inputs = right.numel() // right.shape[0] * dy.shape[-1] // (dy.numel() // len(dy))
        thin = mode_product(dy, left.T, 0)
        return thin.reshape(-1, dy.shape[-1]).T @ right.view(-1, inputs)

    def conv_gradient(
        self,
        stored: StoredTensors,
        dy: Tensor,
        shape: tuple[int, ...],
        weight: Tensor,
        geometry: Geometry,
    ) -> Tensor:
        """The layer's own formula on a batch of k."""
        left, right = stored
        return geometry.weight_gradient(
            right.view(-1, *shape[1:]), mode_product(dy, left.T, 0), tuple(weight.shape)
        )


class Svd(LayerMethod):
    """Truncated SVD of the stored input."""

    ranked = frozenset({ACTIVATION})
    reference = SvdScheme
    keeps_weight = True

    def applies(self, layer: nn.Module) -> str | None:
        """Linear layers and convolutions."""
        return no_plain_layer(layer, nn.Linear, nn.Conv2d)

    def replace(self, layer: nn.Module, choice: RankChoice, name: str) -> ReplacementLayer:
        """The layer that stores a truncated input."""
        return compress_input(layer, SvdScheme(), choice, name)

    def stored(self, layer: nn.Module, shape: tuple[int, ...], ranks: tuple[int, ...]) -> int:
        """`k (B + others)` elements."""
        return ranks[0] * (shape[0] + math.prod(shape[1:]))

    def flops(self, layer: nn.Module, shape: tuple[int, ...], ranks: Ranks) -> LayerFlops:
        """The batch unfolding's decomposition; `dW` on a batch of k."""
        sizes, (rank,) = Sizes.from_layer(layer, shape), ranks.activation
        batch, others = shape[0], math.prod(shape[1:])
        thin = 2 * rank * math.prod(sizes.gradient_shape)
        vectors = leading_flops((batch, others), 0, rank)
        return replace(
            plain_flops(sizes),
            decomposition=vectors.decomposition + 2 * rank * batch * others,
            weight_gradient=thin + sizes.product * rank // batch,
            factorisation=vectors.factorisation,
        )
