"""The peak pass: the highest level of live tensors in a step, from shapes alone."""

from dataclasses import replace

from torch._subclasses.fake_tensor import FakeTensorMode

from bench.data import tree
from bench.measure.fake_live import peak_of_step
from bench.methods.tensors import without_content
from bench.run.job import Findings, Job
from bench.run.workload import Workload, build_model, empty_batch


def measure(job: Job) -> Findings:
    """Run two steps on tensors without bytes, the second under the eyes of a counter."""
    plain = replace(job, weights={"kind": "unset"})
    mode = FakeTensorMode()
    batch = tree.mapped(empty_batch(plain), mode.from_tensor)
    with mode, without_content():
        workload = Workload(plain, batch, build_model(plain))
        workload.step_without_loss()
        return Findings(metrics={"peak_bytes": peak_of_step(workload)})
