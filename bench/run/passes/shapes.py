"""The shapes pass: the exact activation bytes of a plan, from fake tensors, computing nothing."""

from torch._subclasses.fake_tensor import FakeTensorMode

from bench.measure.activations import saved_bytes, storage_bytes
from bench.run.job import Findings, Job
from bench.run.workload import Workload, build_model, empty_batch


def measure(job: Job) -> Findings:
    """Run one step on tensors without bytes and count what it would save."""
    # on the CPU device: the meta device takes another attention path and saves other bytes
    with FakeTensorMode():
        workload = Workload(job, empty_batch(job), build_model(job))
        activations = saved_bytes(workload)
        parameters = storage_bytes(workload.model.parameters())
    return Findings(metrics={"activation_bytes": activations, "parameter_bytes": parameters})
