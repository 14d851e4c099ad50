"""Activation bytes: the tensors that autograd keeps alive between forward and backward."""

import weakref
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from ondevice_bench.measure.removable_hooks import hooked
from ondevice_bench.measure.training_step import TrainingStep


@dataclass(frozen=True)
class SaveSite:
    """Where a tensor was saved: the module (None: outside the network) and the function."""

    module: str | None = None
    function: str = ""


@dataclass(frozen=True)
class SavedStorage:
    """One storage that backward keeps alive, by the site that saved it first."""

    site: SaveSite
    size: int


class SavedTensor:
    """A saved tensor. Only the graph holds it, so it dies when the graph releases it.

    The tensor is detached. An operator that saves its own output passes a tensor that refers to
    the graph, and the graph would keep itself alive.
    """

    __slots__ = ("__weakref__", "site", "tensor")

    def __init__(self, tensor: Tensor, site: SaveSite = SaveSite()) -> None:  # frozen
        self.tensor = tensor.detach()
        self.site = site


def saved_storages(step: TrainingStep, model: nn.Module) -> tuple[SavedStorage, ...]:
    """The distinct storages saved for backward that are not resident anyway.

    Each storage counts as a whole, also for a view, and one time. Forward and backward of every
    part run. The part that saves most counts, because no two parts are alive at the same time.
    """
    most: tuple[SavedStorage, ...] = ()
    for part in range(step.parts):
        loss, storages = saved_in_forward(step, model, part)
        most = max(most, storages, key=total)
        step.backward(loss)
    return most


def saved_in_forward(
    step: TrainingStep, model: nn.Module, part: int = 0
) -> tuple[Tensor, tuple[SavedStorage, ...]]:
    """Run the part's forward only; return its loss and the storages that it saved."""
    with _track_site(model) as site:
        return _forward(step, part, site)


def total(storages: Iterable[SavedStorage]) -> int:
    """The sum of the storages' bytes."""
    return sum(storage.size for storage in storages)


def saved_bytes(step: TrainingStep) -> int:
    """Bytes of the distinct storages saved for backward, without their sites."""
    return total(saved_storages(step, nn.Module()))


class _CurrentFunction(TorchFunctionMode):
    """Tracks the name of the outermost public torch function that is running."""

    name = ""

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        """Set the name while the function runs; torch does not report calls inside it."""
        self.name = getattr(func, "__name__", "")
        try:
            return func(*args, **(kwargs or {}))
        finally:
            self.name = ""


@contextmanager
def _track_site(model: nn.Module) -> Iterator[Callable[[], SaveSite]]:
    """Yield a function that returns the current module and function."""
    entered: list[str] = []

    def leave(*_: object) -> None:
        entered.pop()

    hooks = [
        hook
        for name, module in model.named_modules()
        for hook in (
            module.register_forward_pre_hook(lambda *_, name=name: entered.append(name)),
            module.register_forward_hook(leave),
        )
    ]
    with hooked(hooks), _CurrentFunction() as function:
        yield lambda: SaveSite(entered[-1] if entered else None, function.name)


def _forward(
    step: TrainingStep, part: int, current_site: Callable[[], SaveSite]
) -> tuple[Tensor, tuple[SavedStorage, ...]]:
    """Run the part's forward; return its loss and the storages that it saved."""
    alive: weakref.WeakSet[SavedTensor] = weakref.WeakSet()
    order: dict[int, int] = {}

    def pack(tensor: Tensor) -> SavedTensor:
        saved = SavedTensor(tensor, current_site())
        alive.add(saved)
        order[id(saved)] = len(order)
        return saved

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda saved: saved.tensor):
        loss = step.forward(part)
        seen = {storage_key(tensor) for tensor in step.resident()}
        storages: list[SavedStorage] = []
        in_order = sorted(alive, key=lambda saved: order[id(saved)])
        visible = ((saved.site, saved.tensor) for saved in in_order)
        hidden = ((HIDDEN, tensor) for tensor in step.packed_tensors())
        for site, tensor in (*visible, *hidden):
            if storage_key(tensor) not in seen:
                seen.add(storage_key(tensor))
                storages.append(SavedStorage(site, tensor.untyped_storage().nbytes()))
    return loss, tuple(storages)


# The site of tensors that a method packs by its own hooks: the original tensor is unknown.
HIDDEN = SaveSite(None, "packed")


def storage_bytes(tensors: Iterable[Tensor]) -> int:
    """Bytes of the distinct storages behind `tensors`."""
    return sum(
        {storage_key(tensor): tensor.untyped_storage().nbytes() for tensor in tensors}.values()
    )


def storage_key(tensor: Tensor) -> int:
    """A number that is equal for two tensors of one storage."""
    # This is the address of the storage object, not of its bytes: fake tensors have no bytes.
    return int(tensor.untyped_storage()._cdata)
