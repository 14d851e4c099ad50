"""LANCE: the bases of HOSVD from one calibration batch, fixed from then on; the batch stays whole.

A step stores the core alone. The bases are the state of the layer.
"""

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from torch import Tensor, nn

from ondevice_bench.errors import Refusal
from ondevice_bench.methods.bases import BasesScheme
from ondevice_bench.methods.compressed_input import compress_input, no_plain_layer
from ondevice_bench.methods.convolution import Geometry
from ondevice_bench.methods.layer_flops import LayerFlops, Shape, Sizes, mode_products, plain_flops
from ondevice_bench.methods.method import LayerMethod, ReplacementLayer
from ondevice_bench.methods.ranks import NotCalibrated, RankChoice, Ranks
from ondevice_bench.methods.scheme import StoredTensors
from ondevice_bench.methods.tensors import (
    has_content,
    leading,
    mode_product,
    projection_order,
    working,
)
from ondevice_bench.methods.tucker import compact
from ondevice_bench.specs.rank_rules import ACTIVATION


class LanceScheme(BasesScheme):
    """Projects all modes but the batch. `state` has their bases, in the order of the modes."""

    follows_batch = False

    @staticmethod
    def modes(dimensions: int) -> tuple[int, ...]:
        """All modes but the batch: a basis of one batch says nothing about the next one."""
        return tuple(range(1, dimensions))

    def calibrate(self, x: Tensor) -> None:
        """Take the bases from this input."""
        tensor = working(x)
        ranks = zip(self.modes(x.ndim), self.ranks(x.shape), strict=True)
        bases = (leading(tensor, mode, rank).to(x.dtype) for mode, rank in ranks)
        # some files hold only contiguous tensors
        self.state = tuple(basis.contiguous() for basis in bases)
        self.version += 1

    def store(self, x: Tensor, geometry: Geometry | None) -> StoredTensors:
        """The core."""
        self._require_bases(x)
        core = working(x)
        bases = self._bases(core)
        for mode, _ in projections(tuple(x.shape), tuple(basis.shape[1] for basis in bases)):
            core = mode_product(core, bases[mode - 1].T, mode)
        return compact(core, (), x.dtype)

    def restore(self, stored: StoredTensors, shape: tuple[int, ...]) -> Tensor:
        """`S x_2 U_2 … x_n U_n`."""
        (x,) = stored
        for mode, basis in enumerate(self._bases(x), start=1):
            x = mode_product(x, basis, mode)
        return x

    def linear_gradient(self, stored: StoredTensors, dy: Tensor) -> Tensor:
        """`dW = P U_Iᵀ`: `dY` is projected on the token bases first."""
        (core,) = stored
        *tokens, features = self._bases(dy)
        for mode, basis in enumerate(tokens, start=1):
            dy = mode_product(dy, basis.T, mode)
        thin = dy.reshape(-1, dy.shape[-1]).T @ core.reshape(-1, core.shape[-1])
        return thin @ features.T

    def conv_gradient(
        self,
        stored: StoredTensors,
        dy: Tensor,
        shape: tuple[int, ...],
        weight: Tensor,
        geometry: Geometry,
    ) -> Tensor:
        """`dW` in the space of the channel basis, if groups allow it."""
        (core,) = stored
        channels, height, width = self._bases(dy)
        if geometry.is_pointwise and geometry.groups == 1:
            rows, columns = geometry.stride
            # only the positions that the stride reads have a part in dW
            dy = mode_product(dy, height[::rows][: dy.shape[2]].T, 2)
            dy = mode_product(dy, width[::columns][: dy.shape[3]].T, 3)
            thin = _channels_first(dy) @ _channels_first(core).T
            return mode_product(thin[:, :, None, None], channels, 1)
        x = mode_product(mode_product(core, height, 2), width, 3)
        if geometry.groups == 1:
            thin = geometry.weight_gradient(x, dy, (len(weight), x.shape[1], *weight.shape[2:]))
            return mode_product(thin, channels, 1)
        return geometry.weight_gradient(mode_product(x, channels, 1), dy, tuple(weight.shape))

    def _bases(self, like: Tensor) -> tuple[Tensor, ...]:
        """The bases in the type of this tensor."""
        return tuple(basis.to(like.dtype) for basis in self.state)

    def _require_bases(self, x: Tensor) -> None:
        """A Refusal if there are no bases for an input of this shape."""
        assert self.choice is not None
        if not self.state and not has_content():
            sizes = zip(x.shape[1:], self.ranks(x.shape), strict=True)
            self.state = tuple(x.new_empty(size, rank) for size, rank in sizes)
        if not self.state:
            raise NotCalibrated(
                f"{self.choice.layer}: the method takes its bases from one batch, and has none "
                "yet: before you train, call Treatment.calibrate with a batch that reaches this "
                "layer"
            )
        expected = tuple(len(basis) for basis in self.state)
        if tuple(x.shape[1:]) != expected:
            raise Refusal(
                f"{self.choice.layer}: the input has the shape {tuple(x.shape)}, but the bases are "
                f"for examples of the shape {expected}: the method needs examples of one shape"
            )

    def _load_from_state_dict(self, state_dict: Mapping[str, Any], prefix: str, *_: Any) -> None:
        super()._load_from_state_dict(state_dict, prefix)
        self.version += 1
        if self.state and self.choice is not None:
            self.choice.decide(tuple(basis.shape[1] for basis in self.state))


class _OwnBases(LanceScheme):
    """With the bases of the input itself: for the error of ranks on the calibration batch."""

    def store(self, x: Tensor, geometry: Geometry | None) -> StoredTensors:
        """Take the bases, then the core."""
        self.calibrate(x)
        return super().store(x, geometry)


def projections(shape: Shape, ranks: Shape) -> list[tuple[int, int]]:
    """The modes in the order in which they are projected, with their ranks."""
    return [(mode + 1, ranks[mode]) for mode in projection_order(shape[1:], ranks)]


def _channels_first(x: Tensor) -> Tensor:
    """The unfolding of the channels."""
    return x.transpose(0, 1).reshape(x.shape[1], -1)


class Lance(LayerMethod):
    """Fixed bases from the calibration batch."""

    ranked = frozenset({ACTIVATION})
    reference = _OwnBases
    keeps_weight = True
    keeps_calibration = True

    def applies(self, layer: nn.Module) -> str | None:
        """Linear layers and convolutions."""
        return no_plain_layer(layer, nn.Linear, nn.Conv2d)

    def replace(self, layer: nn.Module, choice: RankChoice, name: str) -> ReplacementLayer:
        """The layer that stores the core of its input."""
        return compress_input(layer, LanceScheme(), choice, name)

    def stored(self, layer: nn.Module, shape: tuple[int, ...], ranks: tuple[int, ...]) -> int:
        """The core. The bases are no part of a step."""
        return shape[0] * math.prod(ranks)

    def flops(self, layer: nn.Module, shape: tuple[int, ...], ranks: Ranks) -> LayerFlops:
        """The core, and `dW` in the low-rank space."""
        sizes = Sizes.from_layer(layer, shape)
        return replace(
            plain_flops(sizes),
            decomposition=mode_products(shape, projections(shape, ranks.activation)),
            weight_gradient=_gradient_flops(sizes, ranks.activation),
        )


def _gradient_flops(sizes: Sizes, ranks: Shape) -> int:
    """`dW` from the core and the bases."""
    batch, dy = sizes.shape[0], sizes.gradient_shape
    if sizes.geometry is None:
        *tokens, features = ranks
        projected = mode_products(dy, list(enumerate(tokens, start=1)))
        thin = 2 * batch * math.prod(ranks) * sizes.outputs
        return projected + thin + 2 * sizes.outputs * features * sizes.inputs
    channels, height, width = ranks
    last = 2 * sizes.outputs * channels * sizes.inputs * sizes.taps
    if sizes.geometry.is_pointwise and sizes.groups == 1:
        projected = mode_products(dy, [(2, height), (3, width)])
        return projected + 2 * batch * math.prod(ranks) * sizes.outputs + last
    rows, columns = sizes.shape[2:]
    restored = [(2, rows), (3, columns)]
    if sizes.groups == 1:
        thin = 2 * sizes.positions * sizes.outputs * channels * sizes.taps
        return mode_products((batch, *ranks), restored) + thin + last
    return mode_products((batch, *ranks), [*restored, (1, sizes.inputs)]) + sizes.product
