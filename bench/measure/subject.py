"""What the measuring modules need of the thing that they measure."""

from collections.abc import Iterator
from typing import Protocol

from torch import Tensor


class Subject(Protocol):
    """A training step in phases; `forward` to `update` make one step."""

    def forward(self) -> Tensor:
        """Compute the loss of the batch."""

    def backward(self, loss: Tensor) -> None:
        """Compute the gradients."""

    def update(self) -> None:
        """Clip, step, and clear the gradients as the suite says."""

    def infer(self) -> None:
        """One forward pass in evaluation mode, without gradients."""

    def resident(self) -> Iterator[Tensor]:
        """What is alive outside a step: parameters, buffers, optimizer state, batch."""
