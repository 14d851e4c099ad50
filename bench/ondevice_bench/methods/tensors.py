"""Linear algebra of unfoldings: Gram matrices, leading vectors, mode products, a QR of fixed sign.

A tensor is viewed as `(before, D, after)` around one mode, so that no unfolding is copied.
Decompositions run in float32 or float64; sums over blocks are in float64.
"""

import contextlib
import math
from collections.abc import Iterable, Iterator, Sequence

import torch
from torch import Tensor

_BLOCK = 1 << 22  # elements of a temporary
_PIECE = 1 << 18  # elements that a cache holds
_LEAST = 512  # rows or columns of a piece: a product with fewer is slower
_SLAB = 1 << 14  # elements of a slab that is worth a product of its own
_ROWS = 128  # of a block of a Gram matrix
_SMALL_RANK = 48  # a product with fewer rows takes no less time
_EXACT_EIGH = 512  # up to this size an eigenproblem is solved in float64


class NotFiniteTensor(ValueError):
    """A tensor holds NaN or infinity and cannot be decomposed."""


_content = [True]


@contextlib.contextmanager
def without_content() -> Iterator[None]:
    """A context for fake tensors. They have shapes, but no code may read their values."""
    _content[0] = False
    try:
        yield
    finally:
        _content[0] = True


def has_content() -> bool:
    """Whether code may read the values of tensors."""
    return _content[0]


def is_strided(tensor: Tensor) -> bool:
    """Whether the tensor is a view of one storage. Sparse and nested tensors are not."""
    return tensor.layout == torch.strided and not tensor.is_nested


def require_finite(numbers: Tensor) -> None:
    """Raise if one of them is NaN or infinite."""
    if has_content() and not torch.isfinite(numbers).all():
        raise NotFiniteTensor("holds NaN or infinity")


def around(x: Tensor, mode: int) -> Tensor:
    """`x` as `(before, D, after)`, a cube around the mode."""
    before, after = math.prod(x.shape[:mode]), math.prod(x.shape[mode + 1 :])
    return x.reshape(before, x.shape[mode], after)


def unfold(x: Tensor, mode: int) -> Tensor:
    """The unfolding of a mode: `D` rows; all other modes, in their order, are the columns."""
    return x.movedim(mode, 0).reshape(x.shape[mode], -1)


def largest_rank(shape: tuple[int, ...], mode: int) -> int:
    """The largest rank that the unfolding of a mode can have."""
    return min(shape[mode], max(1, math.prod(shape) // max(1, shape[mode])))


def mode_product(x: Tensor, matrix: Tensor, mode: int) -> Tensor:
    """`x x_m matrix`, with `matrix (r, D)`: mode m then has r entries."""
    shape = (*x.shape[:mode], matrix.shape[0], *x.shape[mode + 1 :])
    if mode == x.ndim - 1:
        return (x.reshape(math.prod(shape[:-1]), x.shape[-1]) @ matrix.T).view(shape)
    cube = around(x, mode)
    if len(cube) == 1:
        return (matrix @ cube[0]).view(shape)
    return torch.bmm(matrix.expand(len(cube), -1, -1), cube).view(shape)


def compose(core: Tensor, factors: tuple[Tensor, ...]) -> Tensor:
    """`core x_1 U_1 … x_n U_n`, the tensor of a core and its factors."""
    for mode, factor in enumerate(factors):
        core = mode_product(core, factor, mode)
    return core


def projection_order(shape: Sequence[int], ranks: Sequence[int]) -> list[int]:
    """The modes in the order in which products that reduce them to their ranks take least time.

    A product takes a time per element that grows with its rank, and leaves `rank / size` of the
    elements to all later ones. The order by `rank / (1 - rank / size)` has the least sum.
    """

    def weight(mode: int) -> float:
        rank, size = ranks[mode], shape[mode]
        return max(rank, _SMALL_RANK) * size / (size - rank) if rank < size else math.inf

    return sorted(range(len(shape)), key=weight)


def project(x: Tensor, factors: tuple[Tensor, ...]) -> Tensor:
    """The core `x x_1 U_1ᵀ … x_n U_nᵀ`."""
    for mode in projection_order(x.shape, [factor.shape[1] for factor in factors]):
        x = mode_product(x, factors[mode].T, mode)
    return x


def working(x: Tensor) -> Tensor:
    """`x` in a precision that decompositions can run in."""
    return x if x.dtype in {torch.float32, torch.float64} else x.float()


def gram(x: Tensor, mode: int) -> Tensor:
    """`X_(m) X_(m)ᵀ` in float64: products of pieces in x's own precision, summed in float64."""
    cube = around(x, mode)
    before, size, after = cube.shape
    total = torch.zeros(size, size, dtype=torch.float64)
    if after == 1:
        for rows in cube.view(before, size).split(max(1, _BLOCK // size)):
            _add_gram(total, [rows.T])
    elif before == 1:
        for columns in cube[0].split(max(1, _BLOCK // size), dim=1):
            _add_gram(total, [columns])
    elif size * after < _SLAB:
        for slabs in cube.split(max(1, _PIECE // (size * max(size, after)))):
            total += torch.bmm(slabs, slabs.transpose(1, 2)).sum(0)
    else:
        for slabs in cube.split(max(1, _BLOCK // (size * after))):
            _add_gram(total, slabs)
    for rows in row_blocks(size):
        total[rows.stop :, rows] = total[rows, rows.stop :].T
    return total


def row_blocks(size: int) -> list[slice]:
    """Blocks of the rows of a Gram matrix. Each is computed from its diagonal on."""
    return [slice(start, min(size, start + _ROWS)) for start in range(0, size, _ROWS)]


def _add_gram(total: Tensor, pieces: Iterable[Tensor]) -> None:
    """Add `P Pᵀ` for each piece `P (D, n)`, at and above the blocks of the diagonal."""
    size = len(total)
    part: Tensor | None = None
    for piece in pieces:
        if part is None:
            part = piece.new_zeros(size, size)
        for rows in row_blocks(size):
            part[rows, rows.start :].addmm_(piece[rows], piece[rows.start :].T)
    if part is not None:
        total += part


def apply_gram(x: Tensor, mode: int, basis: Tensor) -> Tensor:
    """`X_(m) (X_(m)ᵀ basis)`, by the cheaper of two ways. A piece of X is read twice in a row."""
    cube = around(x, mode)
    before, size, after = cube.shape
    rank = basis.shape[1]
    if size <= 2 * rank:
        return gram(x, mode).to(x.dtype) @ basis
    transposed = basis.T.contiguous()
    total = torch.zeros_like(transposed)  # (r, D)
    if after == 1:
        for rows in cube.view(before, size).split(max(_LEAST, _PIECE // size)):
            total.addmm_((rows @ basis).T, rows)
    elif before == 1:
        for columns in cube[0].split(max(_LEAST, _PIECE // size), dim=1):
            total.addmm_(transposed @ columns, columns.T)
    elif size * after < _SLAB:
        for slabs in cube.split(max(1, _PIECE // (rank * max(size, after)))):
            thin = torch.bmm(transposed.expand(len(slabs), -1, -1), slabs)  # (before, r, after)
            total += torch.bmm(thin, slabs.transpose(1, 2)).sum(0)
    else:
        for slab in cube:
            total.addmm_(transposed @ slab, slab.T)
    return total.T


def sketch(x: Tensor, mode: int, rank: int, stream: torch.Generator) -> Tensor:
    """`X_(m) V` for a Gaussian `V (others, rank)`, a block of rows of V at a time."""
    cube = around(x, mode)
    before, size, after = cube.shape
    total = x.new_zeros(size, rank)

    def gaussian(*shape: int) -> Tensor:
        return torch.randn(shape, generator=stream, dtype=x.dtype)

    step = max(1, _BLOCK // max(rank, size))
    if after == 1:
        for rows in cube.view(before, size).split(step):
            total.addmm_(rows.T, gaussian(len(rows), rank))
    elif before == 1:
        for columns in cube[0].split(step, dim=1):
            total.addmm_(columns, gaussian(columns.shape[1], rank))
    else:
        for slabs in cube.split(max(1, _BLOCK // (max(rank, size) * max(size, after)))):
            total += torch.bmm(slabs, gaussian(len(slabs), after, rank)).sum(0)
    return total


def energies(x: Tensor, mode: int) -> Tensor:
    """Squared singular values of a mode's unfolding, the largest first, float64."""
    values: Tensor = torch.linalg.eigvalsh(_smaller_gram(x, mode))
    return values.flip(0).double().clamp_min(0)


def leading(x: Tensor, mode: int, rank: int) -> Tensor:
    """The first `rank` left singular vectors of a mode's unfolding, as columns in x's dtype."""
    _, ascending = torch.linalg.eigh(_smaller_gram(x, mode))
    vectors: Tensor = ascending.flip(1)
    if vectors.shape[0] == x.shape[mode]:
        return vectors[:, :rank].to(x.dtype).contiguous()
    # the unfolding is tall: these are its right vectors, which it maps to the left ones
    return orthonormal(unfold(x, mode) @ vectors[:, :rank].to(x.dtype))


def _smaller_gram(x: Tensor, mode: int) -> Tensor:
    """The smaller Gram matrix of the unfolding, in the precision of its eigenproblem."""
    size = x.shape[mode]
    tall = size > max(1, x.numel() // size)
    matrix = gram(unfold(x, mode), 1) if tall else gram(x, mode)
    require_finite(matrix.diagonal())
    return matrix.to(x.dtype) if len(matrix) > _EXACT_EIGH else matrix


def orthonormal(matrix: Tensor) -> Tensor:
    """The Q of a QR whose R has a positive diagonal: a subspace that stays keeps its basis."""
    q, _ = qr(matrix)
    return q


def qr(matrix: Tensor) -> tuple[Tensor, Tensor]:
    """A QR whose R has a diagonal that is not negative; a zero there counts as positive."""
    q, r = torch.linalg.qr(working(matrix))
    signs = torch.where(r.diagonal() < 0, -1.0, 1.0).to(r.dtype)
    return (q * signs).to(matrix.dtype), (r * signs[:, None]).to(matrix.dtype)


def truncated(matrix: Tensor, rank: int) -> tuple[Tensor, Tensor]:
    """`matrix ≈ L R` by its leading singular vectors: `L` orthonormal, `R = Lᵀ matrix`."""
    left = leading(working(matrix), 0, rank)
    return left.to(matrix.dtype), (left.T @ working(matrix)).to(matrix.dtype)
