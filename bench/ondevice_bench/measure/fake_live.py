"""Live bytes of tensors without content: what a step would hold, before anything is computed.

Every storage counts from the operator that makes it to the moment at which nobody refers to it.
What a kernel allocates for itself meanwhile is in no tensor, and so in no figure here.
"""

import weakref
from collections.abc import Iterable
from typing import Any, Protocol

from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class Subject(Protocol):
    """A training step on tensors without content."""

    model: nn.Module

    def resident(self) -> Iterable[Tensor]:
        """What is alive outside a step."""

    def step_without_loss(self) -> None:
        """One whole step, whose loss is no number."""


def peak_of_step(subject: Subject) -> int:
    """The most bytes of tensors that are alive at one moment of a step, resident ones included."""
    live = LiveBytes()
    live.hold(subject.resident())
    live.hold(subject.model.state_dict().values())
    with live:
        subject.step_without_loss()
    return live.peak


class LiveBytes(TorchDispatchMode):
    """Bytes that are alive now, and the most that ever were."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # torch's stub has no types
        self.now = 0
        self.peak = 0
        self._known: set[int] = set()

    def hold(self, tensors: Iterable[Tensor]) -> None:
        """Count what was there before."""
        for tensor in tensors:
            self._note(tensor)

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        """Run the operator and count what it made."""
        del types
        found = func(*args, **(kwargs or {}))
        for leaf in tree_leaves(found):
            if isinstance(leaf, Tensor):
                self._note(leaf)
        return found

    def _note(self, tensor: Tensor) -> None:
        storage = tensor.untyped_storage()
        key, size = storage._cdata, storage.nbytes()
        if key in self._known:
            return
        self._known.add(key)
        self.now += size
        self.peak = max(self.peak, self.now)
        weakref.finalize(storage, self._free, key, size)

    def _free(self, key: int, size: int) -> None:
        self._known.discard(key)
        self.now -= size
