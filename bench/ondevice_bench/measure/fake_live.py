"""Live bytes of a step on tensors without content, which computes nothing.

A storage counts from the operator that creates it until the last reference to it is gone. Memory
that a kernel allocates for itself is in no tensor and does not count.
"""

import weakref
from collections.abc import Callable, Iterable
from typing import Any, Protocol

from torch import Tensor, is_tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class FakeStep(Protocol):
    """A training step on tensors without content."""

    model: nn.Module

    def resident(self) -> Iterable[Tensor]:
        """The tensors that are alive outside a step."""

    def gradients(self) -> Iterable[Tensor]:
        """The gradients that stay between two steps, if `zero_grad` sets them to zero."""

    def step_without_loss(self) -> None:
        """Run one whole step. Its loss has no value."""


def peak_of_step(step: FakeStep, run: Callable[[], None] | None = None) -> int:
    """The most bytes of tensors alive at one moment of a step, with those that were there before.

    `run` runs the step, if it does more than that.
    """
    live = LiveBytes()
    live.hold(step.resident())
    live.hold(step.gradients())
    live.hold(each for each in step.model.state_dict(keep_vars=True).values() if is_tensor(each))
    live.peak = live.now  # a network may join tensors for its `state_dict`, which are gone now
    with live:
        (run or step.step_without_loss)()
    return live.peak


class LiveBytes(TorchDispatchMode):
    """Bytes that are alive now, and the most so far."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # torch's stub has no types
        self.now = 0
        self.peak = 0
        self._keys: set[int] = set()

    def hold(self, tensors: Iterable[Tensor]) -> None:
        """Count tensors that exist already."""
        for tensor in tensors:
            self._note(tensor)

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        """Run the operator and count its results."""
        del types
        result = func(*args, **(kwargs or {}))
        for leaf in tree_leaves(result):
            if isinstance(leaf, Tensor):
                self._note(leaf)
        return result

    def _note(self, tensor: Tensor) -> None:
        storage = tensor.untyped_storage()
        key, size = storage._cdata, storage.nbytes()
        if key in self._keys:
            return
        self._keys.add(key)
        self.now += size
        self.peak = max(self.peak, self.now)
        weakref.finalize(storage, self._free, key, size)

    def _free(self, key: int, size: int) -> None:
        self._keys.discard(key)
        self.now -= size
