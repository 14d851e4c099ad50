"""A scheme: the tensors that a layer stores for its input, and the weight gradient from them."""

from abc import abstractmethod
from collections.abc import Sequence
from typing import ClassVar, TypeAlias

from torch import Tensor, nn

from ondevice_bench.methods.convolution import Geometry
from ondevice_bench.methods.ranks import RankChoice
from ondevice_bench.methods.tensors import largest_rank

StoredTensors: TypeAlias = tuple[Tensor, ...]


class Scheme(nn.Module):
    """Replaces a layer's input between forward and backward.

    What a scheme needs from step to step is what its `buffers()` returns.
    """

    choice: RankChoice | None = None

    follows_batch: ClassVar[bool] = True
    """Whether the ranks of a smaller batch are smaller if its unfoldings have no more."""

    version: int = 0
    """It grows when the scheme can no longer use what it has stored before."""

    @staticmethod
    def modes(dimensions: int) -> tuple[int, ...]:
        """The modes that have a rank, for an input with this number of dimensions."""
        return tuple(range(dimensions))

    def ranks(self, shape: Sequence[int]) -> tuple[int, ...]:
        """The rank of each mode for an input of this shape."""
        assert self.choice is not None
        largest = tuple(largest_rank(tuple(shape), mode) for mode in self.modes(len(shape)))
        return self.choice.of_input(largest, follows_batch=self.follows_batch)

    def takes(self, shape: tuple[int, ...]) -> bool:
        """Whether the scheme is defined for such an input. With any other, the layer is plain."""
        return True

    def calibrate(self, x: Tensor) -> None:
        """Keep what the scheme needs of the input of the calibration batch."""

    @abstractmethod
    def store(self, x: Tensor, geometry: Geometry | None) -> StoredTensors:
        """The tensors to store for this input; called without gradients."""

    @abstractmethod
    def restore(self, stored: StoredTensors, shape: tuple[int, ...]) -> Tensor:
        """The approximate input from the stored tensors."""

    @abstractmethod
    def linear_gradient(self, stored: StoredTensors, dy: Tensor) -> Tensor:
        """`dW (O, I)` of a linear layer."""

    @abstractmethod
    def conv_gradient(
        self,
        stored: StoredTensors,
        dy: Tensor,
        shape: tuple[int, ...],
        weight: Tensor,
        geometry: Geometry,
    ) -> Tensor:
        """`dW` of a convolution with an input of this shape."""

    def input_gradient(
        self, dy: Tensor, shape: tuple[int, ...], weight: Tensor, geometry: Geometry | None
    ) -> Tensor:
        """`dX`, exact unless a scheme has its own formula."""
        if geometry is None:
            return dy @ weight
        return geometry.input_gradient(shape, weight, dy)

    def advance(self, stored: StoredTensors) -> None:
        """Move the state to the next step. Every backward calls this once."""
