"""Cosine and relative error between two sets of weight gradients, in float64."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from torch import Tensor


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
    """The similarity over all layers as one vector, and of each layer."""
    sums = {
        name: _Sums.from_gradients(gradient, reference[name])
        for name, gradient in gradients.items()
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
