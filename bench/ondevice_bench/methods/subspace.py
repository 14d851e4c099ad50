"""The factored update `W' = a L R - eta G` and one subspace iteration, without a dense matrix.

A backward leaves a `ThinGradient` for it: `G` in a form that can multiply thin matrices.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from ondevice_bench.methods.tensors import qr, working


class ThinGradient(Protocol):
    """The gradient `G (O, I)` of a low-rank weight, in the form that the update needs."""

    def squared_norm(self) -> Tensor:
        """`||G||_F²`."""

    def scaled_update(
        self, left: Tensor, right: Tensor, shrink: float, rate: float
    ) -> tuple[Tensor, Tensor]:
        """`(L', R')` of one step of `W' = shrink L R - rate G`."""

    def tensors(self) -> Iterator[Tensor]:
        """The tensors of the gradient."""


@dataclass(frozen=True)
class FactoredGradient:
    """`G = P (U x I_taps)ᵀ` with `P (O, r taps)` and `U (C, r)`; taps are kernel positions."""

    thin: Tensor
    basis: Tensor
    taps: int = 1

    def transposed_times(self, columns: Tensor) -> Tensor:
        """`Gᵀ columns`."""
        inner = self.thin.T @ columns  # (r taps, K)
        if self.taps == 1:
            return self.basis @ inner
        spread = self.basis @ inner.view(self.basis.shape[1], -1)
        return spread.view(-1, columns.shape[1])

    def times(self, columns: Tensor) -> Tensor:
        """`G columns`."""
        return self.thin @ self.project(columns)

    def project(self, columns: Tensor) -> Tensor:
        """`(U x I_taps)ᵀ columns`."""
        if self.taps == 1:
            return self.basis.T @ columns
        inner = self.basis.T @ columns.reshape(self.basis.shape[0], -1)
        return inner.view(-1, columns.shape[1])


@dataclass(frozen=True)
class FactoredGradientSum:
    """The sum of the gradients that accumulated since the last update."""

    pairs: tuple[FactoredGradient, ...]

    def squared_norm(self) -> Tensor:
        """The sum over pairs of pairs of `tr(P_jᵀ P_i U_iᵀ U_j)`."""
        total = self.pairs[0].thin.new_zeros(())
        for one in self.pairs:
            for other in self.pairs:
                overlap = one.basis.T @ other.basis  # (r_i, r_j)
                rows = one.thin.view(len(one.thin), -1, one.taps)
                mapped = torch.einsum("oat,ab->obt", rows, overlap)
                total = total + (mapped.flatten(1) * other.thin).sum()
        return total.clamp_min(0)

    def scaled_update(
        self, left: Tensor, right: Tensor, shrink: float, rate: float
    ) -> tuple[Tensor, Tensor]:
        """`(L', R')` from thin products alone."""
        query = shrink * right.T - rate * self._transposed_times(left)  # (I, K)
        image = shrink * (left @ (right @ query)) - rate * self._times(query)  # (O, K)
        turned, _ = qr(image)
        moved = self._transposed_times(turned)
        return turned, shrink * ((turned.T @ left) @ right) - rate * moved.T

    def tensors(self) -> Iterator[Tensor]:
        """Every `P` and `U`."""
        for pair in self.pairs:
            yield pair.thin
            yield pair.basis

    def _transposed_times(self, columns: Tensor) -> Tensor:
        first, *others = (pair.transposed_times(columns) for pair in self.pairs)
        return sum(others, first)

    def _times(self, columns: Tensor) -> Tensor:
        first, *others = (pair.times(columns) for pair in self.pairs)
        return sum(others, first)


@dataclass(frozen=True)
class ProductsGradient:
    """Five thin products of an exact gradient. They suffice for every step size.

    In order: `GᵀL`, `G Rᵀ`, `G(GᵀL)`, `Gᵀ(G Rᵀ)`, `Gᵀ(G(GᵀL))`.
    """

    gt_l: Tensor
    g_rt: Tensor
    g_gtl: Tensor
    gt_grt: Tensor
    gt_ggtl: Tensor
    norm: Tensor

    def squared_norm(self) -> Tensor:
        """`||G||_F²`, summed over row blocks in backward."""
        return self.norm

    def scaled_update(
        self, left: Tensor, right: Tensor, shrink: float, rate: float
    ) -> tuple[Tensor, Tensor]:
        """`(L', R')`: `G Q` and `GᵀZ` are sums of the five products."""
        query = shrink * right.T - rate * self.gt_l
        inner = right @ query  # (K, K)
        image = shrink * (left @ inner) - rate * (shrink * self.g_rt - rate * self.g_gtl)
        turned, upper = qr(image)
        moved = shrink * (self.gt_l @ inner) - rate * (
            shrink * self.gt_grt - rate * self.gt_ggtl
        )  # Gᵀ Z
        solved = torch.linalg.solve_triangular(
            working(upper), working(moved), upper=True, left=False
        )
        moved = solved.to(moved.dtype)  # GᵀL'
        return turned, shrink * ((turned.T @ left) @ right) - rate * moved.T

    def tensors(self) -> Iterator[Tensor]:
        """The five products."""
        yield from (self.gt_l, self.g_rt, self.g_gtl, self.gt_grt, self.gt_ggtl)
