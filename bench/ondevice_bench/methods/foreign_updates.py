"""Detects weights that something else updates, although our optimizer must update them.

A loop may update weights by hand, or in its own hooks. Then there is no foreign optimizer that a
check could refuse, and a method that works in the optimizer would do nothing.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import nn
from torch.utils.hooks import RemovableHandle
from torch.utils.weak import WeakTensorKeyDictionary

from ondevice_bench.errors import Refusal
from ondevice_bench.methods.projected_update import Projection
from ondevice_bench.methods.sampled import sampled_bytes
from ondevice_bench.methods.tensors import has_content


@dataclass
class _Watched:
    """One weight: some of its numbers at the last forward, and whether a gradient came since."""

    before: tuple[torch.dtype, bytes] | None = None
    has_gradient: bool = False
    hook: RemovableHandle | None = None


class ForeignUpdates:
    """Refuses a forward if the weight has changed since the last backward without our optimizer.

    A loop may give the layer several weights in turn, such as those of a teacher.

    Weights may also change for other reasons, for example if a file is loaded. So only a change
    after a gradient counts. After the first step of our optimizer, nothing is checked.
    """

    def __init__(self, name: str, projection: Projection) -> None:
        self._name = name
        self._projection = projection
        self._watched = WeakTensorKeyDictionary()

    def __getstate__(self) -> dict[str, Any]:
        """A copy has other weights, without our hooks."""
        return {"_name": self._name, "_projection": self._projection}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self._name, self._projection = state["_name"], state["_projection"]
        self._watched = WeakTensorKeyDictionary()

    def watch(self, weight: nn.Parameter) -> _Watched:
        """Note each gradient of the weight, also one that `torch.autograd.grad` returns."""
        watched: _Watched = self._watched.setdefault(weight, _Watched())
        is_on = watched.hook is not None and watched.hook.id in (weight._backward_hooks or ())
        if not is_on and weight.requires_grad:
            watched.hook = weight.register_hook(partial(self._note, watched))
        return watched

    def _note(self, watched: _Watched, _: Any) -> None:
        watched.has_gradient = True

    @contextmanager
    def suspended(self) -> Iterator[None]:
        """Note no gradient in the block: it belongs to no training step."""
        before = {id(each): each.has_gradient for each in self._watched.values()}
        try:
            yield
        finally:
            for each in self._watched.values():
                each.has_gradient = before.get(id(each), False)

    def check(self, weight: nn.Parameter) -> None:
        """Before a forward: a Refusal if something else has updated the weight."""
        if self._projection.has_updated or not torch.is_grad_enabled() or not has_content():
            return
        watched = self.watch(weight)  # a file, or a copy of the network, may have brought it
        now = sampled_bytes(weight)
        if watched.has_gradient and _is_changed(watched.before, now):
            raise Refusal(
                f"{self._name}: the loop has changed the weight itself. The method updates it in "
                "the optimizer that Treatment.optimizer returns: train with that optimizer"
            )
        watched.before, watched.has_gradient = now, False

    def end(self) -> None:
        """Watch no longer."""
        for watched in self._watched.values():
            if watched.hook is not None:
                watched.hook.remove()
        self._watched.clear()


def _is_changed(
    before: tuple[torch.dtype, bytes] | None, now: tuple[torch.dtype, bytes] | None
) -> bool:
    """Whether the numbers differ. A weight of another type, or on another device, is unknown."""
    if before is None or now is None or before[0] != now[0]:
        return False
    return before[1] != now[1]
