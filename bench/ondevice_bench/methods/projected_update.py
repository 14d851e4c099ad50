"""The update of a weight by an optimizer that sees its gradient projected (GaLore)."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ondevice_bench.methods.tensors import NotFiniteTensor, has_content, leading, working

BASIS, AGE = "basis", "steps_with_basis"


@dataclass
class Projection:
    """How gradients are projected: the rank, the steps between two bases, the scale of updates.

    `renewed` says whether the last update has renewed a basis, `has_updated` whether there was one.
    """

    rank: int
    every: int
    scale: float
    renewed: bool = True
    has_updated: bool = False

    def update(
        self,
        weight: Tensor,
        state: dict[str, Any],
        rate_and_decay: tuple[float, float],
        step: Callable[[], None],
    ) -> None:
        """Update the weight. `step` is that of the optimizer over it alone, without decay.

        The moments of the optimizer have the shape of the projected gradient. They are kept when
        the basis is renewed. For `step`, the weight is a zero of this shape, so it becomes the
        update itself. The decay acts on the weight.
        """
        gradient = weight.grad
        assert gradient is not None
        self.has_updated = True
        rows, columns = gradient.shape
        rate, decay = rate_and_decay
        is_left = rows <= columns
        basis, age = state.pop(BASIS, None), state.pop(AGE, 0)
        # without content each step renews, so that the estimate of a peak has the largest one
        self.renewed = basis is None or age >= self.every or not has_content()
        if self.renewed:
            basis, age = self._basis(gradient, 0 if is_left else 1), 0
        thin = basis.T @ gradient if is_left else gradient @ basis
        whole = weight.data
        weight.data = torch.zeros_like(thin)
        weight.grad = thin
        try:
            step()
            change = weight.data
        finally:
            weight.grad = None
            weight.data = whole
            weight.grad = gradient
        state[BASIS], state[AGE] = basis, age + 1
        weight.mul_(1 - rate * decay)
        weight.add_(basis @ change if is_left else change @ basis.T, alpha=self.scale)

    def _basis(self, gradient: Tensor, mode: int) -> Tensor:
        """The leading left (mode 0) or right (mode 1) singular vectors of the gradient."""
        rank = min(self.rank, *gradient.shape)
        try:
            return leading(working(gradient), mode, rank).to(gradient.dtype)
        except NotFiniteTensor as error:
            raise NotFiniteTensor(f"the gradient of a projected weight {error}") from None
