"""Two sets of weight gradients compared, and the update of factors that a gradient asks for.

Everything is computed in float64.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

# A correct update in factors differs from the dense one by rounding. The products and the QR round
# numbers as large as the weight: 12 units in the last place of its norm were seen. A step larger
# than the weight magnifies this: 0.2 % of the change was seen. A lost gradient is far more.
_UNITS = 50
_SHARE = 0.01


@dataclass(frozen=True)
class Similarity:
    """Cosine of a gradient and its reference, and the relative error of the gradient.

    The relative error is the norm of the difference over the norm of the reference. Both are None
    where one gradient is zero or not finite.
    """

    cosine: float | None
    error: float | None


@dataclass(frozen=True)
class _Sums:
    """Sums over elements: of the product, and of the squares of each and of the difference."""

    product: float = 0.0
    gradient: float = 0.0
    reference: float = 0.0
    difference: float = 0.0

    @staticmethod
    def from_gradients(gradient: Tensor, reference: Tensor) -> "_Sums":
        a, b = gradient.detach().double().flatten(), reference.detach().double().flatten()
        return _Sums(float(a @ b), float(a @ a), float(b @ b), float((a - b) @ (a - b)))

    def similarity(self) -> Similarity:
        if not (self.gradient > 0 and self.reference > 0) or not math.isfinite(self.difference):
            error = 1.0 if self.gradient == 0 and self.reference > 0 else None
            return Similarity(None, error)
        cosine = self.product / math.sqrt(self.gradient * self.reference)
        return Similarity(cosine, math.sqrt(self.difference / self.reference))


def similarity(
    gradients: Mapping[str, Tensor], reference: Mapping[str, Tensor]
) -> tuple[Similarity, dict[str, Similarity]]:
    """The similarity over all layers of the reference as one vector, and of each layer.

    A layer without a gradient counts as one whose gradient is zero.
    """
    sums = {
        name: _Sums.from_gradients(gradients.get(name, torch.zeros_like(gradient)), gradient)
        for name, gradient in reference.items()
    }
    return _total(sums.values()).similarity(), {name: s.similarity() for name, s in sums.items()}


def _total(parts: Iterable[_Sums]) -> _Sums:
    layers = list(parts)
    return _Sums(
        sum(part.product for part in layers),
        sum(part.gradient for part in layers),
        sum(part.reference for part in layers),
        sum(part.difference for part in layers),
    )


@dataclass(frozen=True)
class FactoredStep:
    """One step of `W' = decay L R - rate G` and its new factors, by dense matrices.

    In a subspace iteration `L' = orth(W' (W'ᵀ L))`, from the factors before the step. In an SVD,
    L' has the leading singular vectors of `W'`. Or L stays as it is. Then `R' = L'ᵀ W'`.
    """

    left: Tensor
    right: Tensor
    gradient: Tensor
    decay: float
    rate: float
    basis: Literal["iterated", "decomposed", "kept"] = "iterated"

    def error(self, left: Tensor, right: Tensor) -> float:
        """How far these new factors are from the step's, as a share of the change by the step.

        It is 0 within rounding. A step that is not finite says nothing, so it is 0 then, too.
        """
        before = self.left.double() @ self.right.double()
        moved = self.rate * self.gradient.double().view_as(before)
        weight = self.decay * before - moved
        if not weight.isfinite().all():
            return 0.0
        if self.basis == "iterated":
            basis, _ = torch.linalg.qr(weight @ (weight.T @ self.left.double()))
        elif self.basis == "kept":
            basis = self.left.double()
        else:
            vectors, _, _ = torch.linalg.svd(weight, full_matrices=False)
            basis = vectors[:, : self.left.shape[1]]
        expected = basis @ (basis.T @ weight)
        change = float(torch.linalg.matrix_norm(expected - before))
        applied = left.double() @ right.double()
        difference = float(torch.linalg.matrix_norm(applied - expected))
        size = float(torch.linalg.matrix_norm(before) + torch.linalg.matrix_norm(moved))
        rounding = _UNITS * torch.finfo(left.dtype).eps * size
        if difference <= _SHARE * change + rounding:
            return 0.0
        return difference / change if change else math.inf
