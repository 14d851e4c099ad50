"""The interface of a training step that the measuring modules use."""

from collections.abc import Iterator
from typing import Protocol

from torch import Tensor


class TrainingStep(Protocol):
    """A training step: `forward` and `backward` for each part of the batch, then `update`."""

    @property
    def parts(self) -> int:
        """The number of parts of the batch: 1, unless a method cuts the batch into slices."""

    def forward(self, part: int = 0) -> Tensor:
        """Compute the part's share of the loss of the batch."""

    def backward(self, loss: Tensor) -> None:
        """Compute the gradients and add them to existing ones."""

    def update(self) -> None:
        """Clip the gradients, step the optimizer, and clear the gradients as the suite says."""

    def infer(self) -> None:
        """Run one forward pass in evaluation mode, without gradients."""

    def resident(self) -> Iterator[Tensor]:
        """Tensors that are alive outside a step: parameters, buffers, optimizer state, batch."""

    def packed_tensors(self) -> Iterator[Tensor]:
        """Saved tensors that saved-tensor hooks do not see."""
