"""How far one set of weight gradients is from another: cosine and relative error, in float64."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Likeness:
    """Cosine of two gradients, and the norm of their difference over that of the reference.

    None where one is zero or not finite.
    """

    cosine: float | None
    error: float | None


@dataclass(frozen=True)
class _Sums:
    product: float = 0.0
    found: float = 0.0
    reference: float = 0.0
    difference: float = 0.0

    @staticmethod
    def from_gradients(found: Tensor, reference: Tensor) -> "_Sums":
        a, b = found.detach().double().flatten(), reference.detach().double().flatten()
        return _Sums(float(a @ b), float(a @ a), float(b @ b), float((a - b) @ (a - b)))

    def likeness(self) -> Likeness:
        if not (self.found > 0 and self.reference > 0) or not math.isfinite(self.difference):
            error = 1.0 if self.found == 0 and self.reference > 0 else None
            return Likeness(None, error)
        cosine = self.product / math.sqrt(self.found * self.reference)
        return Likeness(cosine, math.sqrt(self.difference / self.reference))


def likeness(
    found: Mapping[str, Tensor], reference: Mapping[str, Tensor]
) -> tuple[Likeness, dict[str, Likeness]]:
    """Over all layers as one vector, and of each layer."""
    sums = {name: _Sums.from_gradients(found[name], reference[name]) for name in found}
    return _whole(sums.values()).likeness(), {name: s.likeness() for name, s in sums.items()}


def _whole(parts: Iterable[_Sums]) -> _Sums:
    listed = list(parts)
    return _Sums(
        sum(part.product for part in listed),
        sum(part.found for part in listed),
        sum(part.reference for part in listed),
        sum(part.difference for part in listed),
    )
