"""The shapes pass: exact bytes and FLOPs of a plan, from fake tensors without computing."""

from ondevice_bench.data import nested
from ondevice_bench.measure.activations import saved_bytes, storage_bytes
from ondevice_bench.measure.fake_live import peak_of_step
from ondevice_bench.measure.flops import FlopCounter, count_step, step_flops
from ondevice_bench.protocol.job import Job, PassResult
from ondevice_bench.worker.fake_workload import fake_workload


def measure(job: Job) -> PassResult:
    """Run steps on tensors without bytes: the saved bytes, the FLOPs and the peak of a step."""
    with fake_workload(job) as workload:
        activations = saved_bytes(workload)
        workload.update()
        counter = FlopCounter()
        peak = peak_of_step(workload, lambda: count_step(workload, counter))
        return PassResult(
            metrics={
                "activation_bytes": activations,
                "parameter_bytes": storage_bytes(workload.model.parameters()),
                "resident_bytes": storage_bytes(workload.resident()),
                "batch_bytes": storage_bytes(nested.leaves(workload.batch)),
                "peak_bytes": peak,
                **step_flops(counter),
            }
        )
