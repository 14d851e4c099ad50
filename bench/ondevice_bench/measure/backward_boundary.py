"""A step that is one call: what is kept where it turns from forward to backward.

Its phases are its own affair. The turn is where it starts `torch.autograd.backward` or `grad`,
outside of any other; a step that accumulates gradients has several, and the fullest one counts.
"""

import contextlib
import gc
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves

from ondevice_bench.measure.activations import SavedTensor, storage_bytes, storage_key
from ondevice_bench.measure.allocations import recorded, span

Step = Callable[[], object]


def saved_at_turns(step: Step) -> list[int]:
    """Bytes of the distinct storages saved for backward at each turn.

    What Python held before the step began (weights, optimizer state, batch) is resident, and not
    counted.
    """
    alive: weakref.WeakSet[SavedTensor] = weakref.WeakSet()
    held = _held()
    resident = {storage_key(tensor) for tensor in held}
    sizes: list[int] = []

    def pack(tensor: Tensor) -> SavedTensor:
        saved = SavedTensor(tensor)
        alive.add(saved)
        return saved

    def turn(_: object) -> None:
        saved = (saved.tensor for saved in alive)
        sizes.append(storage_bytes(t for t in saved if storage_key(t) not in resident))

    with (
        torch.autograd.graph.saved_tensors_hooks(pack, lambda saved: saved.tensor),
        _turning(turn, lambda: None),
    ):
        step()
    return sizes


def allocated_at_turns(step: Step) -> list[int]:
    """Bytes that the allocator gave out on the way to each turn and that are still there.

    The losses are left out. What the step holds for itself, such as the network's output, is in it.
    """
    losses: list[int] = []
    held: list[Tensor] = []
    forwards = contextlib.ExitStack()

    def turn(roots: object) -> None:
        forwards.close()
        losses.append(storage_bytes(leaf for leaf in tree_leaves(roots) if _is_tensor(leaf)))

    def back() -> None:
        forwards.enter_context(span("forward"))

    with recorded() as allocations:
        step()  # what is released below must have been seen when it was allocated
        held += _held()
        with forwards, _turning(turn, back):
            back()
            step()
    return [
        sizes.kept_bytes - size for sizes, size in zip(allocations.spans[:-1], losses, strict=True)
    ]


@contextlib.contextmanager
def _turning(turn: Callable[[object], None], back: Callable[[], None]) -> Iterator[None]:
    """Call `turn` with its roots before each backward, and `back` after it."""
    inside = False

    def watched(real: Callable[..., Any]) -> Callable[..., Any]:
        def call(roots: object, *arguments: Any, **options: Any) -> Any:
            nonlocal inside
            if inside:  # a checkpoint that runs its part again
                return real(roots, *arguments, **options)
            turn(roots)
            inside = True
            try:
                return real(roots, *arguments, **options)
            finally:
                inside = False
                back()

        return call

    autograd = torch.autograd
    backward, grad = autograd.backward, autograd.grad
    autograd.backward, autograd.grad = watched(backward), watched(grad)
    try:
        yield
    finally:
        autograd.backward, autograd.grad = backward, grad


def _held() -> list[Tensor]:
    """Every tensor that Python holds.

    Who keeps them keeps their storages: gradients that a step clears first would otherwise leave
    their addresses to its activations, and their bytes to the allocator's level.
    """
    gc.collect()
    sizes = [tensor for tensor in gc.get_objects() if _is_tensor(tensor)]
    gradients = [t.grad for t in sizes if t.is_leaf and t.grad is not None]
    return [tensor for tensor in (*sizes, *gradients) if _has_storage(tensor)]


def _has_storage(tensor: Tensor) -> bool:
    try:
        storage_key(tensor)
    except (NotImplementedError, RuntimeError):  # sparse, or lazy
        return False
    return True


def _is_tensor(sizes: object) -> bool:
    """By its type alone: some objects run code when asked for their class."""
    return issubclass(type(sizes), Tensor)
