"""Activation bytes: what autograd keeps alive at the turn from forward to backward."""

import weakref
from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn

from bench.measure.subject import Subject


class _Kept:
    """A saved tensor; the graph alone holds it, so it dies when the graph lets it go.

    Detached: an operator that saves its own output hands over a tensor that holds the graph, and
    the graph would keep itself alive.
    """

    __slots__ = ("__weakref__", "module", "tensor")

    def __init__(self, tensor: Tensor, module: str) -> None:
        self.tensor = tensor.detach()
        self.module = module


def saved_bytes(subject: Subject) -> int:
    """Bytes of the distinct storages saved for backward that nothing else keeps resident.

    A view counts its whole storage, once. Runs every part's forward and backward; the part that
    saves most counts, since no two are alive together.
    """
    most = 0
    for part in range(subject.parts):
        loss, found = _forward(subject, part, lambda: "")
        most = max(most, sum(found.values()))
        subject.backward(loss)
    return most


def saved_bytes_by_module(subject: Subject, model: nn.Module) -> dict[str, int]:
    """The same bytes by the module in whose forward they were saved first; no backward is run."""
    inside = [""]
    hooks = [
        hook
        for name, module in model.named_modules()
        for hook in (
            module.register_forward_pre_hook(lambda *_, name=name: inside.append(name)),
            module.register_forward_hook(lambda *_: _left(inside)),
        )
    ]
    try:
        return _forward(subject, 0, lambda: inside[-1])[1]
    finally:
        for hook in hooks:
            hook.remove()


def _left(inside: list[str]) -> None:
    inside.pop()


def _forward(
    subject: Subject, part: int, module: Callable[[], str]
) -> tuple[Tensor, dict[str, int]]:
    """The part's loss, and the bytes that its forward saved, by what `module` said meanwhile."""
    alive: weakref.WeakSet[_Kept] = weakref.WeakSet()
    order: dict[int, int] = {}

    def pack(tensor: Tensor) -> _Kept:
        kept = _Kept(tensor, module())
        alive.add(kept)
        order[id(kept)] = len(order)
        return kept

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda kept: kept.tensor):
        loss = subject.forward(part)
        seen = {_key(tensor) for tensor in subject.resident()}
        found: dict[str, int] = {}
        saved = [(kept.module, kept.tensor) for kept in sorted(alive, key=lambda k: order[id(k)])]
        for name, tensor in (*saved, *(("", tensor) for tensor in subject.held())):
            if _key(tensor) not in seen:
                seen.add(_key(tensor))
                found[name] = found.get(name, 0) + tensor.untyped_storage().nbytes()
    return loss, found


def storage_bytes(tensors: Iterable[Tensor]) -> int:
    """Bytes of the distinct storages behind `tensors`."""
    return sum({_key(tensor): tensor.untyped_storage().nbytes() for tensor in tensors}.values())


def _key(tensor: Tensor) -> int:
    # the address of the storage object, not of its bytes: fake tensors have no bytes
    return int(tensor.untyped_storage()._cdata)
