"""A workload on tensors without bytes, for passes that compute nothing."""

import contextlib
from collections.abc import Iterator
from dataclasses import replace

from torch._subclasses.fake_tensor import FakeTensorMode

from bench.data import tree
from bench.methods.tensors import without_content
from bench.run.job import Job
from bench.run.workload import Workload, build_model, empty_batch


@contextlib.contextmanager
def fake_workload(job: Job) -> Iterator[Workload]:
    """The job's workload, whose weights are unset: what stands in them changes no size.

    On the CPU device: the meta device takes another attention path and saves other bytes.
    """
    plain = replace(job, weights={"kind": "unset"})
    mode = FakeTensorMode()
    batch = tree.mapped(empty_batch(plain), mode.from_tensor)
    with mode, without_content():
        yield Workload(plain, batch, build_model(plain))
