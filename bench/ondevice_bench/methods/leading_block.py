"""The leading left singular vectors of an unfolding alone, by a block subspace iteration.

The full eigenproblem computes all of them. Each call starts from the same Gaussian columns, so the
result depends on the tensor alone, and on no earlier step.

The number of vectors is given: the full spectrum of a calibration batch has decided it.
"""

import math

import torch
from torch import Tensor

from ondevice_bench.measure import factorisation_flops
from ondevice_bench.methods.layer_flops import LayerFlops, Shape, leading_flops
from ondevice_bench.methods.tensors import (
    apply_gram,
    has_content,
    leading,
    orthonormal,
    require_finite,
)

TOLERANCE = 1e-6  # the share of the energy of the leading vectors that a result may miss
_PRODUCTS = 8  # with the Gram matrix
_SURPLUS = 8  # columns of the block, besides two for each vector
# multiply-adds of products that take as long as factorisations, measured with MKL
_EIGENPROBLEM = 8  # times n³
_QR = 6  # times the rows and the square of the columns


def leading_vectors(x: Tensor, mode: int, rank: int, stream: torch.Generator) -> Tensor:
    """The first `rank` left singular vectors of the unfolding, by the cheaper of two ways."""
    if takes_block(tuple(x.shape), mode, rank):
        found = leading_by_block(x, mode, rank, stream)
        if found is not None:
            return found
    return leading(x, mode, rank)


def takes_block(shape: Shape, mode: int, rank: int) -> bool:
    """Whether the iteration takes less than half of the time of the full eigenproblem.

    So little is lost if the residuals are too large.
    """
    size = shape[mode]
    others = math.prod(shape) // size
    columns = _columns(rank)
    if 2 * columns >= min(size, others):
        return False
    iteration = _PRODUCTS * (2 * columns * size * others + _QR * size * columns**2)
    smaller = min(size, others)
    return 2 * iteration < smaller * size * others // 2 + _EIGENPROBLEM * smaller**3


def leading_by_block(x: Tensor, mode: int, rank: int, stream: torch.Generator) -> Tensor | None:
    """The vectors; None if the residuals do not show that they are the leading ones."""
    start = torch.randn(x.shape[mode], _columns(rank), generator=stream, dtype=x.dtype)
    basis = orthonormal(start)
    for _ in range(_PRODUCTS - 1):
        basis = orthonormal(apply_gram(x, mode, basis))
    image = apply_gram(x, mode, basis)
    inner = basis.T @ image
    require_finite(inner.diagonal())
    values, turn = torch.linalg.eigh((inner + inner.T) / 2)
    values, turn = values.flip(0).clamp_min(0), turn.flip(1)[:, :rank]
    vectors: Tensor = basis @ turn
    residuals = torch.linalg.vector_norm(image @ turn - vectors * values[:rank], dim=0)
    if has_content() and not _are_leading(values.double(), residuals.double()):
        return None
    return vectors


def _are_leading(values: Tensor, residuals: Tensor) -> bool:
    """Whether at most the tolerated share of energy is missing.

    The sum of the leading eigenvalues exceeds that of the Ritz values by at most the sum of the
    residuals' norms. For a vector whose value has a gap to the eigenvalues outside of the block, it
    is at most the square of the norm over the gap. No eigenvalue outside of the block is larger
    than the middle one of the surplus: the block starts at random, so it has a part of each vector.
    """
    rank = len(residuals)
    gaps = values[:rank] - values[(rank + len(values)) // 2]
    squares = torch.where(gaps > 0, residuals.square() / gaps, residuals)
    missing = torch.minimum(residuals, squares).sum()
    return bool(missing <= TOLERANCE * values[:rank].sum())


def vectors_flops(shape: Shape, mode: int, rank: int) -> LayerFlops:
    """The FLOPs of `leading_vectors`, if the iteration finds them where it is taken."""
    if not takes_block(shape, mode, rank):
        return leading_flops(shape, mode, rank)
    size, columns = shape[mode], _columns(rank)
    inner = 2 * size * columns * columns + 2 * 2 * size * columns * rank
    return LayerFlops(
        decomposition=_PRODUCTS * 4 * columns * math.prod(shape) + inner,
        factorisation=_PRODUCTS * factorisation_flops.qr(size, columns)
        + factorisation_flops.eigh(columns),
    )


def _columns(rank: int) -> int:
    return 2 * rank + _SURPLUS
