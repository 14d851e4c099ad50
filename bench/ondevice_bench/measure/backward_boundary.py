"""Activation bytes of a step that is one call, at the boundary between forward and backward.

The step has a boundary at each outermost call of `torch.autograd.backward` or `grad`. A step that
accumulates gradients has several boundaries. The one with the most bytes counts.
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
from ondevice_bench.measure.allocations import record_allocations, span

Step = Callable[[], object]
# `_engine_run_backward` is called by both others
_CALLS = ("backward", "grad", "_engine_run_backward")
_ROOTS = ("tensors", "outputs")  # the names of their first argument


def saved_bytes_at_boundaries(step: Step) -> list[int]:
    """Bytes of the distinct storages saved for backward, at each boundary.

    Tensors that Python holds before the step (weights, optimizer state, batch) do not count.
    """
    alive: weakref.WeakSet[SavedTensor] = weakref.WeakSet()
    existing = _existing_tensors()  # alive during the step, so that no address is used again
    resident = {storage_key(tensor) for tensor in existing}
    sizes: list[int] = []

    def pack(tensor: Tensor) -> SavedTensor:
        saved = SavedTensor(tensor)
        alive.add(saved)
        return saved

    def before_backward(_: object) -> None:
        tensors = (saved.tensor for saved in alive)
        sizes.append(storage_bytes(t for t in tensors if storage_key(t) not in resident))

    with (
        torch.autograd.graph.saved_tensors_hooks(pack, lambda saved: saved.tensor),
        _around_backward(before_backward, lambda: None),
    ):
        step()
    return sizes


def allocated_bytes_at_boundaries(step: Step) -> list[int]:
    """Bytes that forward allocated and that are still alive, at each boundary.

    The losses do not count. Other tensors that the step holds count, such as the network's output.
    """
    losses: list[int] = []
    existing: list[Tensor] = []
    forwards = contextlib.ExitStack()

    def before_backward(roots: object) -> None:
        forwards.close()
        losses.append(storage_bytes(leaf for leaf in tree_leaves(roots) if _is_tensor(leaf)))

    def start_forward() -> None:
        forwards.enter_context(span("forward"))

    with record_allocations() as allocations:
        step()  # the record must contain the allocations that the next step releases
        existing += _existing_tensors()
        with forwards, _around_backward(before_backward, start_forward):
            start_forward()
            step()
    return [
        forward.net_bytes - loss
        for forward, loss in zip(allocations.spans[:-1], losses, strict=True)
    ]


@contextlib.contextmanager
def _around_backward(before: Callable[[object], None], after: Callable[[], None]) -> Iterator[None]:
    """Call `before` with the roots before each outermost backward, and `after` after it.

    A file may have imported `grad` before. Its `grad` still looks up the call of the engine.
    """
    inside = False

    def wrap(real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            nonlocal inside
            if inside:  # a checkpoint calls backward inside backward
                return real(*arguments, **options)
            before(arguments[0] if arguments else [options.get(name) for name in _ROOTS])
            inside = True
            try:
                return real(*arguments, **options)
            finally:
                inside = False
                after()

        return call

    autograd = torch.autograd
    originals = {name: getattr(autograd, name) for name in _CALLS}
    for name, function in originals.items():
        setattr(autograd, name, wrap(function))
    try:
        yield
    finally:
        for name, function in originals.items():
            setattr(autograd, name, function)


def _existing_tensors() -> list[Tensor]:
    """Every tensor that Python holds.

    The caller holds them during the step, and so their storages. Otherwise a step that clears its
    gradients first would reuse their addresses for activations, and lower the allocator's level.
    """
    gc.collect()
    tensors = [tensor for tensor in gc.get_objects() if _is_tensor(tensor)]
    with torch._C.DisableTorchFunctionSubclass():  # a class may refuse to tell its gradient
        gradients = [t.grad for t in tensors if t.is_leaf and t.grad is not None]
    return [tensor for tensor in (*tensors, *gradients) if _has_storage(tensor)]


def _has_storage(tensor: Tensor) -> bool:
    try:
        storage_key(tensor)
    except (NotImplementedError, RuntimeError):  # sparse, or lazy
        return False
    return True


def _is_tensor(thing: object) -> bool:
    """Look at the type only: `isinstance` reads `__class__`, which runs code of some objects."""
    return issubclass(type(thing), Tensor)
