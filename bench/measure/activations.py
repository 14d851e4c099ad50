"""Activation bytes: what autograd keeps alive at the turn from forward to backward."""

import weakref
from collections.abc import Iterable

import torch
from torch import Tensor

from bench.measure.subject import Subject


class _Kept:
    """A saved tensor; the graph alone holds it, so it dies when the graph lets it go.

    Detached: an operator that saves its own output hands over a tensor that holds the graph, and
    the graph would keep itself alive.
    """

    __slots__ = ("__weakref__", "tensor")

    def __init__(self, tensor: Tensor) -> None:
        self.tensor = tensor.detach()


def saved_bytes(subject: Subject) -> int:
    """Bytes of the distinct storages saved for backward that nothing else keeps resident.

    A view counts its whole storage, once. Runs every part's forward and backward; the part that
    saves most counts, since no two are alive together.
    """
    return max(_saved_by(subject, part) for part in range(subject.parts))


def _saved_by(subject: Subject, part: int) -> int:
    alive: weakref.WeakSet[_Kept] = weakref.WeakSet()

    def pack(tensor: Tensor) -> _Kept:
        kept = _Kept(tensor)
        alive.add(kept)
        return kept

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda kept: kept.tensor):
        loss = subject.forward(part)
        resident = {_key(tensor) for tensor in subject.resident()}
        saved = (*(kept.tensor for kept in alive), *subject.held())
        total = storage_bytes(tensor for tensor in saved if _key(tensor) not in resident)
    subject.backward(loss)
    return total


def storage_bytes(tensors: Iterable[Tensor]) -> int:
    """Bytes of the distinct storages behind `tensors`."""
    return sum({_key(tensor): tensor.untyped_storage().nbytes() for tensor in tensors}.values())


def _key(tensor: Tensor) -> int:
    # the address of the storage object, not of its bytes: fake tensors have no bytes
    return int(tensor.untyped_storage()._cdata)
