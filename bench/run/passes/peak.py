"""The peak pass: the highest level of live tensors in a step, from shapes alone."""

from bench.measure.fake_live import peak_of_step
from bench.run.fake_workload import fake_workload
from bench.run.job import Findings, Job


def measure(job: Job) -> Findings:
    """Run two steps on tensors without bytes, the second under the eyes of a counter."""
    with fake_workload(job) as workload:
        workload.step_without_loss()
        return Findings(metrics={"peak_bytes": peak_of_step(workload)})
