"""What a check of a method works with: one layer, its input, and the method applied to it."""

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, TypeAlias

import torch
from torch import Tensor, nn

from ondevice_bench.methods.treatment import Treatment

EXACT = 1e-10


@dataclass(frozen=True)
class Case:
    """A plain layer in float64, and an input."""

    name: str
    layer: nn.Module
    x: Tensor


class Apply(Protocol):
    """Applies the method to a new copy of the layer."""

    def __call__(self, prepare: Callable[[nn.Module], object] | None = None, /) -> Treatment:
        """`prepare` may change the plain layer before."""


Check: TypeAlias = Callable[[Case, Apply], str]


class NotChecked(Exception):
    """The check has nothing to compare. The text has the reason."""


def difference(a: Tensor, b: Tensor) -> float:
    """The largest difference, as a share of the largest entry of `b`."""
    return float((a - b).abs().max() / b.abs().max().clamp_min(1e-300))


def output_gradient(y: Tensor) -> Tensor:
    """The same random `dY` for each output of this shape."""
    stream = torch.Generator().manual_seed(1)
    return torch.randn(y.shape, generator=stream, dtype=y.dtype)


def step(module: Callable[[Tensor], Tensor], x: Tensor) -> tuple[Tensor, Tensor]:
    """Output and dX for a seeded dY."""
    seen = x.clone().requires_grad_()
    y = module(seen)
    y.backward(output_gradient(y))
    assert seen.grad is not None
    return y.detach(), seen.grad


def merged(treatment: Treatment) -> nn.Module:
    """A plain copy of the treated layer."""
    return copy.deepcopy(treatment).merge()
