"""Activation bytes and FLOPs of the user's own step, by hooks."""

from ondevice_bench.measure.backward_boundary import (
    allocated_bytes_at_boundaries,
    saved_bytes_at_boundaries,
)
from ondevice_bench.measure.flops import FlopCounter, left_out
from ondevice_bench.metrics import SOURCE_TOLERANCE
from ondevice_bench.protocol.job import Job, PassResult
from ondevice_bench.worker.user_step import prepare, require_done

_NO_BACKWARD = "the step never called backward"


def measure(job: Job) -> PassResult:
    """Run one warm-up step, then a separate step for each count."""
    step = prepare(job)
    require_done("step", step())
    saved, allocated = (
        max(saved_bytes_at_boundaries(step), default=None),
        max(allocated_bytes_at_boundaries(step), default=None),
    )
    counter = FlopCounter()
    with counter.phase("step"):
        step()
    operations = counter.of("step")
    metrics = {"step_flops": float(operations.flops)}
    operators = {"step": operations.to_dict()}
    notes = left_out(operations, "the FLOPs of the step")
    if saved is None or allocated is None:
        names = ("activation_bytes", "activation_allocated_bytes")
        return PassResult(
            metrics,
            unavailable=dict.fromkeys(names, _NO_BACKWARD),
            details={"notes": notes, "operators": operators},
        )
    return PassResult(
        metrics={**metrics, "activation_bytes": saved, "activation_allocated_bytes": allocated},
        details={"notes": [*_notes(saved, allocated), *notes], "operators": operators},
    )


def _notes(saved: int, allocated: int) -> list[str]:
    if abs(saved - allocated) <= SOURCE_TOLERANCE * max(saved, allocated):
        return []
    sources = f"{saved} by saved tensors, {allocated} by the allocator"
    extra = "local variables of the step and tensors that its own hooks hold"
    return [f"activation bytes: {sources}, which also counts {extra}"]
