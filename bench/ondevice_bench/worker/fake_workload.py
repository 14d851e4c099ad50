"""A workload on tensors without bytes, for passes that compute nothing."""

import contextlib
from collections.abc import Iterator
from dataclasses import replace

from ondevice_bench.data import nested
from ondevice_bench.methods.tensors import without_content
from ondevice_bench.protocol.job import Job
from ondevice_bench.worker.fake_mode import QuickFakeMode
from ondevice_bench.worker.workload import Workload, build_model, empty_batch


@contextlib.contextmanager
def fake_workload(job: Job) -> Iterator[Workload]:
    """The job's workload on fake tensors. Weights stay unset, because values change no size.

    The device is the CPU. On the meta device attention uses another kernel and saves other bytes.
    """
    plain = replace(job, weights={"kind": "unset"}, calibration_path="")
    mode = QuickFakeMode()
    batch = nested.mapped(empty_batch(plain), mode.from_tensor)
    with mode, without_content():
        yield Workload(plain, batch, build_model(plain))
