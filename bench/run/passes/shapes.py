"""The shapes pass: exact bytes and FLOPs of a plan, from fake tensors, computing nothing."""

from dataclasses import replace

from torch._subclasses.fake_tensor import FakeTensorMode

from bench.data import tree
from bench.measure.activations import saved_bytes, storage_bytes
from bench.measure.fake_live import peak_of_step
from bench.measure.flops import FlopCounter, count_step, step_flops
from bench.methods.tensors import without_content
from bench.run.job import Findings, Job
from bench.run.workload import Workload, build_model, empty_batch


def measure(job: Job) -> Findings:
    """Run steps on tensors without bytes: what one would save, compute, and hold at its highest."""
    plain = replace(job, weights={"kind": "unset"})  # what stands in them changes no size
    # on the CPU device: the meta device takes another attention path and saves other bytes
    mode = FakeTensorMode()
    batch = tree.mapped(empty_batch(plain), mode.from_tensor)
    with mode, without_content():
        workload = Workload(plain, batch, build_model(plain))
        activations = saved_bytes(workload)
        workload.update()
        counter = FlopCounter()
        count_step(workload, counter)
        return Findings(
            metrics={
                "activation_bytes": activations,
                "parameter_bytes": storage_bytes(workload.model.parameters()),
                "resident_bytes": storage_bytes(workload.resident()),
                "batch_bytes": storage_bytes(tree.leaves(workload.batch)),
                "peak_bytes": peak_of_step(workload),
                **step_flops(counter),
            }
        )
