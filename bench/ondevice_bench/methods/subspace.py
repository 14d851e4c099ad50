"""The factored update `W' = a L R - eta G` and one subspace iteration, without a dense matrix.

A backward leaves a `WeightGradient` for it: `G` in a form that can multiply thin matrices.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Protocol, TypeAlias

import torch
from torch import Tensor

from ondevice_bench.methods.tensors import has_content, qr, working

PROBES = 4  # sums of columns
_DRIFT = 100  # times the rounding of a number: the drift from orthonormal that is allowed


class WeightGradient(Protocol):
    """The gradient `G (O, I)` of a low-rank weight, in the form that the update needs."""

    @property
    def squared_norm(self) -> Tensor:
        """`||G||_F²`."""

    def scaled_update(
        self, left: Tensor, right: Tensor, shrink: float, rate: float
    ) -> tuple[Tensor, Tensor]:
        """`(L', R')` of one step of `W' = shrink L R - rate G`."""

    def moved_right(self, left: Tensor, right: Tensor, shrink: float, rate: float) -> Tensor:
        """`R' = Lᵀ W'` of a step that leaves L as it is."""

    def tensors(self) -> Iterator[Tensor]:
        """The tensors of the gradient."""


@dataclass(frozen=True)
class FactoredGradient:
    """`G = P (U x I_taps)ᵀ` with `P (O, r taps)` and `U (C, r)`; taps are kernel positions.

    The columns of `U` are orthonormal. So `P` has the norm of `G`.
    """

    thin: Tensor
    basis: Tensor
    taps: int = 1

    def transposed_times(self, columns: Tensor) -> Tensor:
        """`Gᵀ columns`."""
        return self.spread(self.thin.T @ columns)

    def spread(self, inner: Tensor) -> Tensor:
        """`(U x I_taps) inner`, with `inner (r taps, K)`."""
        if self.taps == 1:
            return self.basis @ inner
        spread = self.basis @ inner.reshape(self.basis.shape[1], -1)
        return spread.view(-1, inner.shape[1])

    def times(self, columns: Tensor) -> Tensor:
        """`G columns`."""
        return self.thin @ self.project(columns)

    def project(self, columns: Tensor) -> Tensor:
        """`(U x I_taps)ᵀ columns`."""
        if self.taps == 1:
            return self.basis.T @ columns
        inner = self.basis.T @ columns.reshape(self.basis.shape[0], -1)
        return inner.view(-1, columns.shape[1])

    def to(self, dtype: torch.dtype) -> "FactoredGradient":
        """The gradient in this type."""
        return FactoredGradient(self.thin.to(dtype), self.basis.to(dtype), self.taps)

    @property
    def squared_norm(self) -> Tensor:
        """`||G||_F²`."""
        norm: Tensor = torch.linalg.vector_norm(self.thin)
        return norm.square()

    def onto(self, basis: Tensor, taps: int) -> Tensor:
        """`G (basis x I_taps)`."""
        rows = self.thin.view(len(self.thin), -1, self.taps)
        return torch.einsum("oat,ab->obt", rows, self.basis.T @ basis).flatten(1)


@dataclass(frozen=True)
class DenseGradient:
    """`G` itself. It exists where products cannot be added, and where a weight is read."""

    matrix: Tensor

    def transposed_times(self, columns: Tensor) -> Tensor:
        """`Gᵀ columns`."""
        return self.matrix.T @ columns

    def times(self, columns: Tensor) -> Tensor:
        """`G columns`."""
        return self.matrix @ columns

    def to(self, dtype: torch.dtype) -> "DenseGradient":
        """The gradient in this type."""
        return DenseGradient(self.matrix.to(dtype))

    @property
    def squared_norm(self) -> Tensor:
        """`||G||_F²`."""
        norm: Tensor = torch.linalg.vector_norm(self.matrix)
        return norm.square()

    def onto(self, basis: Tensor, taps: int) -> Tensor:
        """`G (basis x I_taps)`."""
        rows = self.matrix.view(len(self.matrix), -1, taps)
        return torch.einsum("oct,cb->obt", rows, basis).flatten(1)


Summand: TypeAlias = FactoredGradient | DenseGradient


@dataclass(frozen=True)
class GradientSum:
    """The sum of the gradients of several backward calls. Its norm grows with each."""

    summands: tuple[Summand, ...]
    squared_norm: Tensor

    @staticmethod
    def of(summand: Summand) -> "GradientSum":
        """The sum of one gradient."""
        return GradientSum((summand,), summand.squared_norm)

    def plus(self, summand: Summand) -> "GradientSum":
        """The sum with one more gradient. Dense gradients are added into one matrix."""
        across = sum(_inner(each, summand) for each in self.summands)
        norm = (self.squared_norm + summand.squared_norm + 2 * across).clamp_min(0)
        dense = [each for each in self.summands if isinstance(each, DenseGradient)]
        if dense and isinstance(summand, DenseGradient):
            dense[0].matrix.add_(summand.matrix)
            return GradientSum(self.summands, norm)
        return GradientSum((*self.summands, summand), norm)

    def scaled(self, factor: float) -> "GradientSum":
        """The sum times a number."""
        parts = (
            DenseGradient(each.matrix * factor)
            if isinstance(each, DenseGradient)
            else replace(each, thin=each.thin * factor)
            for each in self.summands
        )
        return GradientSum(tuple(parts), self.squared_norm * factor**2)

    def scaled_update(
        self, left: Tensor, right: Tensor, shrink: float, rate: float
    ) -> tuple[Tensor, Tensor]:
        """`(L', R')` from thin products alone."""
        first = self.summands[0]
        if len(self.summands) == 1 and isinstance(first, FactoredGradient):
            width = first.thin.shape[1]
            if has_small_span(len(left), left.shape[1], width) and _is_orthonormal(left):
                return _update_in_span(first, left, right, shrink, rate)
        query = shrink * right.T - rate * self._transposed_times(left)  # (I, K)
        image = shrink * (left @ (right @ query)) - rate * self._times(query)  # (O, K)
        turned, _ = qr(image)
        moved = self._transposed_times(turned)
        return turned, shrink * ((turned.T @ left) @ right) - rate * moved.T

    def moved_right(self, left: Tensor, right: Tensor, shrink: float, rate: float) -> Tensor:
        """`R' = shrink R - rate (GᵀL)ᵀ`."""
        return shrink * right - rate * self._transposed_times(left).T

    def tensors(self) -> Iterator[Tensor]:
        """Every `P` and `U`, and a dense matrix."""
        for each in self.summands:
            if isinstance(each, DenseGradient):
                yield each.matrix
            else:
                yield each.thin
                yield each.basis

    def _transposed_times(self, columns: Tensor) -> Tensor:
        first, *others = (each.transposed_times(columns) for each in self.summands)
        return sum(others, first)

    def _times(self, columns: Tensor) -> Tensor:
        first, *others = (each.times(columns) for each in self.summands)
        return sum(others, first)


def has_small_span(rows: int, rank: int, width: int) -> bool:
    """Whether the QR of coordinates in the span of `L` and `P` is smaller than that of columns."""
    return 2 * (rank + width) <= rows


def _is_orthonormal(left: Tensor) -> bool:
    """Whether the columns are orthonormal within rounding, as random sums of them show."""
    if not has_content():
        return True
    stream = torch.Generator().manual_seed(0)
    sums = torch.randn(left.shape[1], PROBES, generator=stream, dtype=working(left).dtype)
    error = torch.linalg.vector_norm(left.T @ (left @ sums.to(left.dtype)) - sums)
    return bool(error <= _DRIFT * torch.finfo(working(left).dtype).eps * sums.norm())


def _update_in_span(
    gradient: FactoredGradient, left: Tensor, right: Tensor, shrink: float, rate: float
) -> tuple[Tensor, Tensor]:
    """`(L', R')` in the span of `L` and `P`, which has all columns of `W'` and so those of `L'`.

    `P = L inner + outer rest` with an orthonormal `[L, outer]`. So only coordinates need a QR, and
    `L'` is `[L, outer]` times an orthonormal matrix. Rounding lets `L` drift from orthonormal in
    many such steps: see `_is_orthonormal`.
    """
    inner = left.T @ gradient.thin
    query = shrink * right.T - rate * gradient.spread(inner.T)  # (I, K)
    outer, rest = qr(gradient.thin - left @ inner)
    along = left.T @ outer  # what rounding has left, where P lies in the span of L
    outer, again = qr(outer - left @ along)
    inner, rest = inner + along @ rest, again @ rest
    projected = gradient.project(query)  # (w, K)
    upper = shrink * (right @ query) - rate * (inner @ projected)
    turn, _ = qr(torch.cat([upper, -rate * (rest @ projected)]))
    of_left, of_outer = turn[: len(upper)], turn[len(upper) :]
    moved = gradient.spread(inner.T @ of_left + rest.T @ of_outer)  # GᵀL'
    turned = torch.addmm(left @ of_left, outer, of_outer)
    return turned, shrink * (of_left.T @ right) - rate * moved.T


def _inner(one: Summand, other: Summand) -> Tensor:
    """The sum of the products of the entries. For factors: `tr(P_jᵀ P_i U_iᵀ U_j)`."""
    if isinstance(other, FactoredGradient):
        return (one.onto(other.basis, other.taps) * other.thin).sum()
    if isinstance(one, FactoredGradient):
        return _inner(other, one)
    return torch.dot(one.matrix.flatten(), other.matrix.flatten())


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
    squared_norm: Tensor  # summed over row blocks in backward

    def scaled_update(
        self, left: Tensor, right: Tensor, shrink: float, rate: float
    ) -> tuple[Tensor, Tensor]:
        """`(L', R')`: `G Q` and `GᵀZ` are sums of the five products."""
        query = shrink * right.T - rate * self.gt_l
        inner = right @ query  # (K, K)
        image = shrink * (left @ inner) - rate * (shrink * self.g_rt - rate * self.g_gtl)
        moved = shrink * (self.gt_l @ inner) - rate * (
            shrink * self.gt_grt - rate * self.gt_ggtl
        )  # Gᵀ Z
        turned, upper = qr(image)
        sizes = upper.diagonal()
        if has_content() and bool((sizes <= self._negligible(sizes, rate)).any()):
            columns, sizes, rows = torch.linalg.svd(working(upper))
            exists = sizes > self._negligible(sizes.to(upper.dtype), rate)
            turned = (working(turned) @ columns).to(image.dtype)
            solved = exists * (working(moved) @ rows.T) / sizes.where(exists, 1)
            kept = exists[:, None]
        else:
            solved = torch.linalg.solve_triangular(
                working(upper), working(moved), upper=True, left=False
            )
            kept = None
        update = rate * solved.to(moved.dtype).T  # solved is GᵀL'
        new = shrink * ((turned.T @ left) @ right) - update
        return turned, new if kept is None else new * kept

    def moved_right(self, left: Tensor, right: Tensor, shrink: float, rate: float) -> Tensor:
        """`R' = shrink R - rate (GᵀL)ᵀ`."""
        return shrink * right - rate * self.gt_l.T

    def _negligible(self, sizes: Tensor, rate: float) -> Tensor:
        """The size of a column of `Z` below which rounding hides it, of columns of these sizes.

        `GᵀL'` has an error of `rate ||G|| eps / share` there. To leave the column out has an error
        of the root of its share, because `Z` has the squares of the weight's singular values.
        """
        eps = torch.finfo(sizes.dtype).eps
        largest = working(sizes).max()
        step = abs(rate) * working(self.squared_norm).sqrt() / largest.sqrt()
        return largest * (eps * step).pow(2 / 3).clamp_min(eps)

    def tensors(self) -> Iterator[Tensor]:
        """The five products."""
        yield from (self.gt_l, self.g_rt, self.g_gtl, self.gt_grt, self.gt_ggtl)
