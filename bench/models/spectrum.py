"""Random weights with the decaying spectrum that trained ones have and random ones lack."""

import torch
from torch import Tensor, nn

from bench.models.weights import generator_for


@torch.no_grad()
def give_spectrum(model: nn.Module, decay: float, seed: int) -> None:
    """Let the k-th singular value of every linear and convolution fall like k^-decay.

    Singular vectors are random; each weight keeps its norm. A convolution's weight is taken as
    the matrix `(O, C kh kw)`.
    """
    for name, module in model.named_modules():
        if isinstance(module, (nn.Linear, nn.Conv2d)):
            weight = module.weight
            matrix = decaying(weight.flatten(1), decay, generator_for(seed, f"{name} spectrum"))
            weight.copy_(matrix.view(weight.shape))


def decaying(like: Tensor, decay: float, stream: torch.Generator) -> Tensor:
    """A matrix of that shape and norm whose k-th singular value is proportional to k^-decay."""
    rank = min(like.shape)
    left, right = (
        torch.linalg.qr(torch.randn(length, rank, generator=stream, dtype=like.dtype))[0]
        for length in like.shape
    )
    values = torch.arange(1, rank + 1, dtype=like.dtype) ** -decay
    values *= torch.linalg.vector_norm(like) / torch.linalg.vector_norm(values)
    matrix: Tensor = (left * values) @ right.T
    return matrix
