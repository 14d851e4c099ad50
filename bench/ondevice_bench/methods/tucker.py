"""Weight gradients from a core and its factors, without restoring the input."""

import math

import torch
from torch import Tensor

from ondevice_bench.methods.convolution import Geometry
from ondevice_bench.methods.scheme import Scheme, StoredTensors
from ondevice_bench.methods.tensors import compose, mode_product

_CHUNK = 1 << 19  # elements of the temporary that a projection of dY needs


class TuckerScheme(Scheme):
    """Stores a core and one factor for each mode: `prod r_m + sum D_m r_m` elements."""

    @staticmethod
    def stored_elements(shape: tuple[int, ...], ranks: tuple[int, ...]) -> int:
        """The number of stored elements for an input of this shape."""
        return math.prod(ranks) + sum(d * r for d, r in zip(shape, ranks, strict=True))

    def restore(self, stored: StoredTensors, shape: tuple[int, ...]) -> Tensor:
        """`S x_1 U_1 … x_n U_n`."""
        core, *factors = stored
        return compose(core, tuple(factors))

    def linear_gradient(self, stored: StoredTensors, dy: Tensor) -> Tensor:
        """`dW = P U_Iᵀ`."""
        thin, features = linear_pair(stored, dy)
        return thin @ features.T

    def conv_gradient(
        self,
        stored: StoredTensors,
        dy: Tensor,
        shape: tuple[int, ...],
        weight: Tensor,
        geometry: Geometry,
    ) -> Tensor:
        """`dW` in the space of the batch (and, if groups allow it, the channel) factor."""
        if geometry.groups == 1:
            thin, channels = conv_pair(stored, dy, tuple(weight.shape), geometry)
            return mode_product(thin, channels, 1)
        core, batch, channels, height, width = stored
        # a group needs its own channels: restore that mode alone
        x = mode_product(mode_product(core, height, 2), width, 3)
        thin = mode_product(dy, batch.T, 0)
        return geometry.weight_gradient(mode_product(x, channels, 1), thin, tuple(weight.shape))


def linear_pair(stored: StoredTensors, dy: Tensor) -> tuple[Tensor, Tensor]:
    """`(P, U_I)` with `dW = P U_Iᵀ`: `dY` is projected on the batch and token factors first."""
    core, *factors = stored
    small_dy = _project(dy, factors[:-1])  # (r_1, …, r_(n-1), O)
    thin = small_dy.reshape(-1, dy.shape[-1]).T @ core.reshape(-1, core.shape[-1])
    return thin, factors[-1]


def _project(dy: Tensor, factors: list[Tensor]) -> Tensor:
    """`dY x_m U_mᵀ` over batch and tokens, in the cheaper order; a few samples at a time."""
    batch, tokens = factors[0], factors[1:]
    if not tokens:
        return batch.T @ dy
    outputs = dy.shape[-1]
    small = math.prod(factor.shape[1] for factor in tokens)
    whole = math.prod(dy.shape[1:-1])
    if batch.shape[1] * (len(batch) * whole + small * whole) < len(batch) * small * (
        whole + batch.shape[1]
    ):
        dy = mode_product(dy, batch.T, 0)
        for mode, factor in enumerate(tokens, start=1):
            dy = mode_product(dy, factor.T, mode)
        return dy
    total = dy.new_zeros(batch.shape[1], small * outputs)
    step = max(1, _CHUNK // (small * outputs))
    for part, rows in zip(dy.split(step), batch.split(step), strict=True):
        for mode, factor in enumerate(tokens, start=1):
            part = mode_product(part, factor.T, mode)  # noqa: PLW2901  # one mode after the other
        total.addmm_(rows.T, part.reshape(len(rows), -1))
    return total.view(batch.shape[1], *(factor.shape[1] for factor in tokens), outputs)


def conv_pair(
    stored: StoredTensors, dy: Tensor, weight: tuple[int, ...], geometry: Geometry
) -> tuple[Tensor, Tensor]:
    """`dW` of a convolution in its channel factor's space, `(O, r_C, kh, kw)`, and that factor."""
    core, batch, channels, height, width = stored
    if geometry.is_pointwise:
        rows, columns = geometry.stride
        # only the positions that the stride reads have a part in dW
        factors = [batch, height[::rows][: dy.shape[2]], width[::columns][: dy.shape[3]]]
        tokens = _project(dy.permute(0, 2, 3, 1), factors)  # (r_B, r_H, r_W, O)
        thin = tokens.reshape(-1, weight[0]).T @ core.permute(0, 2, 3, 1).reshape(-1, core.shape[1])
        return thin[:, :, None, None], channels
    x = mode_product(mode_product(core, height, 2), width, 3)  # (r_B, r_C, H, W)
    thin_dy = mode_product(dy, batch.T, 0)  # (r_B, O, h, w)
    shape = (weight[0], core.shape[1], *weight[2:])
    return geometry.weight_gradient(x, thin_dy, shape), channels


def compact(core: Tensor, factors: tuple[Tensor, ...], dtype: torch.dtype) -> StoredTensors:
    """Core and factors in the layer's precision, each in a storage of its own size."""
    return tuple(_own(tensor.to(dtype)) for tensor in (core, *factors))


def _own(tensor: Tensor) -> Tensor:
    tensor = tensor.contiguous()
    whole = tensor.untyped_storage().nbytes() == tensor.numel() * tensor.element_size()
    return tensor if whole else tensor.clone()
