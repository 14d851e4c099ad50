"""Activation bytes: what autograd keeps alive at the turn from forward to backward."""

import weakref
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from ondevice_bench.measure.subject import Subject


@dataclass(frozen=True)
class SaveSite:
    """Where a tensor was saved: the module (None: outside of the network) and the function."""

    module: str | None = None
    function: str = ""


@dataclass(frozen=True)
class Saved:
    """One storage that backward keeps alive, by the site that saved it first."""

    site: SaveSite
    size: int


class Kept:
    """A saved tensor; the graph alone holds it, so it dies when the graph lets it go.

    Detached: an operator that saves its own output hands over a tensor that holds the graph, and
    the graph would keep itself alive.
    """

    __slots__ = ("__weakref__", "site", "tensor")

    def __init__(self, tensor: Tensor, site: SaveSite = SaveSite()) -> None:  # frozen
        self.tensor = tensor.detach()
        self.site = site


def saved_storages(subject: Subject, model: nn.Module) -> tuple[Saved, ...]:
    """The distinct storages saved for backward that nothing else keeps resident.

    A view counts its whole storage, once. Runs every part's forward and backward; the part that
    saves most counts, since no two are alive together.
    """
    most: tuple[Saved, ...] = ()
    for part in range(subject.parts):
        loss, found = saved_in_forward(subject, model, part)
        most = max(most, found, key=total)
        subject.backward(loss)
    return most


def saved_in_forward(
    subject: Subject, model: nn.Module, part: int = 0
) -> tuple[Tensor, tuple[Saved, ...]]:
    """The part's loss and what its forward saved; no backward is run."""
    with _noting_site(model) as site:
        return _forward(subject, part, site)


def total(storages: Iterable[Saved]) -> int:
    """Their bytes."""
    return sum(saved.size for saved in storages)


def saved_bytes(subject: Subject) -> int:
    """Bytes of the distinct storages, without asking where they were saved."""
    return total(saved_storages(subject, nn.Module()))


class _NotingFunctions(TorchFunctionMode):
    """The public function that runs now, the outermost one."""

    name = ""

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        """Note the name while it runs; calls within it do not come here."""
        self.name = getattr(func, "__name__", "")
        try:
            return func(*args, **(kwargs or {}))
        finally:
            self.name = ""


@contextmanager
def _noting_site(model: nn.Module) -> Iterator[Callable[[], SaveSite]]:
    """A function that says where the program is."""
    inside: list[str] = []

    def leave(*_: object) -> None:
        inside.pop()

    hooks = [
        hook
        for name, module in model.named_modules()
        for hook in (
            module.register_forward_pre_hook(lambda *_, name=name: inside.append(name)),
            module.register_forward_hook(leave),
        )
    ]
    try:
        with _NotingFunctions() as function:
            yield lambda: SaveSite(inside[-1] if inside else None, function.name)
    finally:
        for hook in hooks:
            hook.remove()


def _forward(
    subject: Subject, part: int, site: Callable[[], SaveSite]
) -> tuple[Tensor, tuple[Saved, ...]]:
    """The part's loss, and what its forward saved."""
    alive: weakref.WeakSet[Kept] = weakref.WeakSet()
    order: dict[int, int] = {}

    def pack(tensor: Tensor) -> Kept:
        kept = Kept(tensor, site())
        alive.add(kept)
        order[id(kept)] = len(order)
        return kept

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda kept: kept.tensor):
        loss = subject.forward(part)
        seen = {storage_key(tensor) for tensor in subject.resident()}
        found: list[Saved] = []
        saved = [(kept.site, kept.tensor) for kept in sorted(alive, key=lambda k: order[id(k)])]
        for where, tensor in (*saved, *((HIDDEN, tensor) for tensor in subject.held())):
            if storage_key(tensor) not in seen:
                seen.add(storage_key(tensor))
                found.append(Saved(where, tensor.untyped_storage().nbytes()))
    return loss, tuple(found)


# saved by a method's own hooks: what they were packed from is not known
HIDDEN = SaveSite(None, "packed")


def storage_bytes(tensors: Iterable[Tensor]) -> int:
    """Bytes of the distinct storages behind `tensors`."""
    return sum(
        {storage_key(tensor): tensor.untyped_storage().nbytes() for tensor in tensors}.values()
    )


def storage_key(tensor: Tensor) -> int:
    """What two tensors of one storage share."""
    # the address of the storage object, not of its bytes: fake tensors have no bytes
    return int(tensor.untyped_storage()._cdata)
