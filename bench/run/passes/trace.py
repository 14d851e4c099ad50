"""The trace pass: exact bytes by tensor, and hashes of what went in."""

import hashlib
from collections.abc import Iterable

from torch import Tensor

from bench.data.tensorfile import memory_of
from bench.measure.activations import saved_bytes, storage_bytes
from bench.run.job import Findings, Job
from bench.run.workload import build


def measure(job: Job) -> Findings:
    """Count the bytes of activations, parameters, buffers, gradients and optimizer state."""
    workload = build(job)
    model = workload.model
    weights = _sha256(tensor for _, tensor in sorted(model.state_dict().items()))
    activations = saved_bytes(workload)
    gradients = storage_bytes(workload.gradients())
    workload.update()
    return Findings(
        metrics={
            "activation_bytes": activations,
            "parameter_bytes": storage_bytes(model.parameters()),
            "buffer_bytes": storage_bytes(model.buffers()),
            "gradient_bytes": gradients,
            "optimizer_state_bytes": storage_bytes(workload.optimizer_state()),
            "batch_bytes": storage_bytes([workload.images, workload.labels]),
        },
        details={
            "weights_sha256": weights,
            "batch_sha256": _sha256([workload.images, workload.labels]),
        },
    )


def _sha256(tensors: Iterable[Tensor]) -> str:
    digest = hashlib.sha256()
    for tensor in tensors:
        if tensor.numel():
            digest.update(memory_of(tensor.detach().contiguous()))
    return digest.hexdigest()
