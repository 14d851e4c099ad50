"""The shapes pass: exact bytes and FLOPs of a plan, from fake tensors, computing nothing."""

from bench.data import tree
from bench.measure.activations import saved_bytes, storage_bytes
from bench.measure.fake_live import peak_of_step
from bench.measure.flops import FlopCounter, count_step, step_flops
from bench.run.fake_workload import fake_workload
from bench.run.job import Findings, Job


def measure(job: Job) -> Findings:
    """Run steps on tensors without bytes: what one would save, compute, and hold at its highest."""
    with fake_workload(job) as workload:
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
