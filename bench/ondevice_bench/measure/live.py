"""Live bytes of a step, from the record of torch's allocator.

The record is the source of the live peaks, and a second source of activation bytes. Levels are
bytes over the level at the beginning of the step. So they contain gradients and all temporary
tensors, but not weights, optimizer state and batch.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from torch import nn

from ondevice_bench.measure.activations import SavedStorage, total
from ondevice_bench.measure.allocations import mark_modules, record_allocations, span
from ondevice_bench.measure.training_step import TrainingStep
from ondevice_bench.metrics import SOURCE_TOLERANCE

_MODULES_IN_MESSAGE = 3


@dataclass(frozen=True)
class Live:
    """Live bytes of one step, from torch's own record of allocations."""

    activation_bytes: int  # at the end of the forward that saves most, without its loss
    activations_by_module: dict[str, int]
    forward_peak_bytes: int
    backward_peak_bytes: int
    update_peak_bytes: int


def live_step(step: TrainingStep, model: nn.Module) -> Live:
    """Record two steps and evaluate the second.

    Factored weights and a method's state are new tensors in every step. The second step releases
    those of the first, so the record must contain their allocation.
    """
    losses = []
    with record_allocations() as allocations, mark_modules(model):
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
    forwards = [span for span in allocations.spans if span.name == "forward"]
    activations = [forward.net_bytes - loss for forward, loss in zip(forwards, losses, strict=True)]
    largest = max(range(len(forwards)), key=activations.__getitem__)
    return Live(
        activation_bytes=activations[largest],
        activations_by_module=forwards[largest].alive_by_module,
        forward_peak_bytes=allocations.peak_of("forward") - start,
        backward_peak_bytes=allocations.peak_of("backward") - start,
        update_peak_bytes=allocations.peak_of("update") - start,
    )


def disagreement(saved: Iterable[SavedStorage], live: Live) -> str:
    """A message if the two sources differ by more than 1 %, otherwise empty text."""
    hooks, allocator = total(saved), live.activation_bytes
    difference = abs(hooks - allocator)
    if difference <= SOURCE_TOLERANCE * max(hooks, allocator):
        return ""
    by_module = dict(live.activations_by_module)
    for storage in saved:
        name = storage.site.module or ""
        by_module[name] = by_module.get(name, 0) - storage.size
    ranked = sorted(by_module.items(), key=lambda item: -abs(item[1]))[:_MODULES_IN_MESSAGE]
    where = ", ".join(f"{name or 'outside modules'} {size:+}" for name, size in ranked if size)
    return (
        f"activation bytes: {hooks} by saved tensors, {allocator} by the allocator "
        f"({difference / max(hooks, allocator):.1%} apart); allocated minus saved: {where}"
    )
