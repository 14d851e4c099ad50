"""Live bytes of a step by the allocator's record: a second source for activation bytes, and peaks.

Levels are bytes over what torch held when the step began: weights, optimizer state and batch
are not in them, gradients and all temporaries are.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from torch import nn

from ondevice_bench.measure.activations import SavedStorage, total
from ondevice_bench.measure.allocations import modules_named, recorded, span
from ondevice_bench.measure.training_step import TrainingStep
from ondevice_bench.metrics import SOURCE_TOLERANCE

_NAMED = 3


@dataclass(frozen=True)
class Live:
    """What was alive in one step, by torch's own record of allocations."""

    activation_bytes: int  # at the turn of the part that keeps most, less its loss
    kept: dict[str, int]  # the same by module
    forward_peak_bytes: int
    backward_peak_bytes: int
    update_peak_bytes: int


def live_step(step: TrainingStep, model: nn.Module) -> Live:
    """Run two steps under the allocator's record and look at the second.

    What is released must have been seen when it was allocated: weights in factors and a method's
    state are new tensors in every step.
    """
    losses = []
    with recorded() as allocations, modules_named(model):
        for part in range(step.parts):
            step.backward(step.forward(part))
        step.update()
        for part in range(step.parts):
            with span("forward"):
                loss = step.forward(part)
            losses.append(loss.untyped_storage().nbytes())
            with span("backward"):
                step.backward(loss)
            del loss
        with span("update"):
            step.update()
    start = allocations.spans[0].start_bytes
    turns = [found for found in allocations.spans if found.name == "forward"]
    kept = [found.kept_bytes - size for found, size in zip(turns, losses, strict=True)]
    most = max(range(len(turns)), key=kept.__getitem__)
    return Live(
        activation_bytes=kept[most],
        kept=turns[most].kept,
        forward_peak_bytes=allocations.peak_of("forward") - start,
        backward_peak_bytes=allocations.peak_of("backward") - start,
        update_peak_bytes=allocations.peak_of("update") - start,
    )


def disagreement(saved: Iterable[SavedStorage], live: Live) -> str:
    """What a reader must know where the two sources differ by more than 1 %; empty elsewhere."""
    hooks, allocator = total(saved), live.activation_bytes
    apart = abs(hooks - allocator)
    if apart <= SOURCE_TOLERANCE * max(hooks, allocator):
        return ""
    by_module = dict(live.kept)
    for storage in saved:
        name = storage.site.module or ""
        by_module[name] = by_module.get(name, 0) - storage.size
    ranked = sorted(by_module.items(), key=lambda item: -abs(item[1]))[:_NAMED]
    where = ", ".join(f"{name or 'outside modules'} {size:+}" for name, size in ranked if size)
    return (
        f"activation bytes: {hooks} by saved tensors, {allocator} by the allocator "
        f"({apart / max(hooks, allocator):.1%} apart); allocated less saved: {where}"
    )
