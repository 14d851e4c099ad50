"""The live_peak pass: the highest level of live tensors in a step, from shapes alone."""

from ondevice_bench.measure.fake_live import peak_of_step
from ondevice_bench.protocol.job import Job, PassResult
from ondevice_bench.worker.fake_workload import fake_workload


def measure(job: Job) -> PassResult:
    """Run two steps on tensors without bytes, and count the second one."""
    with fake_workload(job) as workload:
        workload.step_without_loss()
        return PassResult(metrics={"peak_bytes": peak_of_step(workload)})
