"""Activation bytes and FLOPs of a step of the user's own, by hooks."""

from ondevice_bench.measure.backward_boundary import (
    allocated_bytes_at_boundaries,
    saved_bytes_at_boundaries,
)
from ondevice_bench.measure.flops import FlopCounter
from ondevice_bench.metrics import SOURCE_TOLERANCE
from ondevice_bench.protocol.job import Job, PassResult
from ondevice_bench.worker.user_step import prepared

_NO_BACKWARD = "the step never called backward"


def measure(job: Job) -> PassResult:
    """Count each with a step of its own, after one that warms up."""
    step = prepared(job)
    step()
    saved, allocated = (
        max(saved_bytes_at_boundaries(step), default=None),
        max(allocated_bytes_at_boundaries(step), default=None),
    )
    counter = FlopCounter()
    with counter.phase("step"):
        step()
    counted = counter.of("step")
    metrics = {"step_flops": float(counted.flops)}
    if saved is None or allocated is None:
        names = ("activation_bytes", "activation_allocated_bytes")
        return PassResult(metrics, unavailable=dict.fromkeys(names, _NO_BACKWARD))
    return PassResult(
        metrics={**metrics, "activation_bytes": saved, "activation_allocated_bytes": allocated},
        details={"notes": _notes(saved, allocated), "operators": {"step": counted.to_dict()}},
    )


def _notes(saved: int, allocated: int) -> list[str]:
    if abs(saved - allocated) <= SOURCE_TOLERANCE * max(saved, allocated):
        return []
    said = f"activation bytes: {saved} by saved tensors, {allocated} by the allocator"
    return [f"{said}, which also sees local variables of the step and what its own hooks keep"]
