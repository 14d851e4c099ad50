"""The trace pass: exact bytes by tensor, and hashes of what went in."""

import hashlib
from collections.abc import Iterable

from torch import Tensor

from bench.data import tree
from bench.data.tensorfile import memory_of
from bench.measure.activations import saved_bytes, storage_bytes
from bench.run.job import Findings, Job
from bench.run.workload import Workload, initial_model, load_batch, treated_model


def measure(job: Job) -> Findings:
    """Count the bytes of activations, parameters, buffers, gradients and optimizer state."""
    model, loaded = initial_model(job)
    weights = _sha256(tensor for _, tensor in sorted(model.state_dict().items()))
    treatment = treated_model(job, model)
    del model  # a method may have no use for the weights that it replaced
    workload = Workload(job, load_batch(job), treatment)
    activations = saved_bytes(workload)
    gradients = storage_bytes(workload.gradients())
    workload.update()
    model = workload.model
    state = list(treatment.state())
    return Findings(
        metrics={
            "activation_bytes": activations,
            "parameter_bytes": storage_bytes(model.parameters()),
            "buffer_bytes": storage_bytes(model.buffers()) - storage_bytes(state),
            "method_state_bytes": storage_bytes(state),
            "gradient_bytes": gradients,
            "optimizer_state_bytes": storage_bytes(workload.optimizer_state()),
            "batch_bytes": storage_bytes(tree.leaves(workload.batch)),
        },
        details={
            "weights": str(loaded or job.cell.weights),
            "notes": [f"weights: {loaded}"] if loaded and not loaded.whole else [],
            "weights_sha256": weights,
            "batch_sha256": _sha256(tree.leaves(workload.batch)),
            "treated": {
                report.name: {
                    "shape": report.shape,
                    "activation_ranks": report.ranks.activation,
                    "weight_rank": report.ranks.weight,
                    "stored_elements": report.elements,
                }
                for report in treatment.report()
            },
            "left_alone": dict(treatment.refused),
        },
    )


def _sha256(tensors: Iterable[Tensor]) -> str:
    digest = hashlib.sha256()
    for tensor in tensors:
        if tensor.numel():
            digest.update(memory_of(tensor.detach().contiguous()))
    return digest.hexdigest()
