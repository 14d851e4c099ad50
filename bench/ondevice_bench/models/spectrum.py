"""Random weights with a decaying spectrum, like trained weights."""

import torch
from torch import Tensor, nn

from ondevice_bench.models.weights import generator_for

BLOCK, ROUNDS = 128, 3  # each row can reach every other of 128^3


@torch.no_grad()
def give_spectrum(model: nn.Module, decay: float, seed: int) -> None:
    """Let the k-th singular value of every linear and convolution fall like k^-decay.

    Singular vectors are random; each weight keeps its norm. A convolution's weight counts as
    the matrix `(O, C kh kw)`.
    """
    for name, module in model.named_modules():
        if isinstance(module, (nn.Linear, nn.Conv2d)):
            weight = module.weight
            matrix = decaying(weight.flatten(1), decay, generator_for(seed, f"{name} spectrum"))
            weight.copy_(matrix.reshape(weight.shape))


def decaying(like: Tensor, decay: float, stream: torch.Generator) -> Tensor:
    """A matrix of that shape and norm whose k-th singular value is proportional to k^-decay."""
    values = torch.arange(1, min(like.shape) + 1, dtype=like.dtype) ** -decay
    values *= torch.linalg.vector_norm(like) / torch.linalg.vector_norm(values)
    matrix = torch.zeros_like(like)
    matrix.diagonal().copy_(values)
    turn(matrix, stream)
    matrix = matrix.T.contiguous()
    turn(matrix, stream)
    return matrix.T


def turn(matrix: Tensor, stream: torch.Generator) -> None:
    """Multiply `matrix`, in place, by a random orthogonal one from the left.

    It is a product of shuffles of rows and rotations of blocks of them: dense ones for every
    weight of a language model take two minutes to draw.
    """
    shuffled = torch.empty_like(matrix)
    for _ in range(ROUNDS):
        order = torch.randperm(len(matrix), generator=stream)
        torch.index_select(matrix, 0, order, out=shuffled)
        turns = rotation(min(BLOCK, len(matrix)), matrix.dtype, stream)
        for some, turned in zip(shuffled.split(BLOCK), matrix.split(BLOCK), strict=True):
            if len(some) < len(turns):  # the last few rows
                turns = rotation(len(some), matrix.dtype, stream)
            torch.mm(turns, some, out=turned)


def rotation(size: int, dtype: torch.dtype, stream: torch.Generator) -> Tensor:
    """A random orthogonal matrix, uniformly distributed."""
    q, r = torch.linalg.qr(torch.randn(size, size, generator=stream, dtype=dtype))
    turns: Tensor = q * r.diagonal().sign()
    return turns
