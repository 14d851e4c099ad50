"""What the measuring modules need of the thing that they measure."""

from collections.abc import Iterator
from typing import Protocol

from torch import Tensor


class Subject(Protocol):
    """A training step in phases: `forward` and `backward` for each part of the batch, `update`."""

    @property
    def parts(self) -> int:
        """How many parts the batch is trained in: one, unless a method cuts it into slices."""

    def forward(self, part: int = 0) -> Tensor:
        """Compute the part's share of the loss of the batch."""

    def backward(self, loss: Tensor) -> None:
        """Compute the gradients, or add to them."""

    def update(self) -> None:
        """Clip, step, and clear the gradients as the suite says."""

    def infer(self) -> None:
        """One forward pass in evaluation mode, without gradients."""

    def resident(self) -> Iterator[Tensor]:
        """What is alive outside a step: parameters, buffers, optimizer state, batch."""

    def held(self) -> Iterator[Tensor]:
        """What is saved now out of sight of saved-tensor hooks."""
