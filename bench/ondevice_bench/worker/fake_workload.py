"""A workload on tensors without bytes, for passes that compute nothing."""

import contextlib
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from torch import nn

from ondevice_bench.data import nested
from ondevice_bench.methods.tensors import without_content
from ondevice_bench.protocol.job import Job
from ondevice_bench.specs import inputs as kinds
from ondevice_bench.worker import current_stage
from ondevice_bench.worker.fake_mode import QuickFakeMode
from ondevice_bench.worker.workload import Workload, empty_batch, initial_model, treated_model


@contextlib.contextmanager
def fake_workload(job: Job) -> Iterator[Workload]:
    """The job's workload on fake tensors. Weights stay unset, because values change no size.

    The device is the CPU. On the meta device attention uses another kernel and saves other bytes.
    """
    plain = replace(job, weights={"kind": "unset"}, calibration_path="")
    mode = QuickFakeMode()
    batch = _batch(plain, mode)
    with without_content():
        model = _model(plain, mode)
        with mode:
            yield Workload(plain, batch, treated_model(plain, model))


def _batch(job: Job, mode: QuickFakeMode) -> Any:
    """The batch on fake tensors. One of the user's function has bytes at first."""
    if isinstance(kinds.from_dict(job.inputs), kinds.OwnBatch):
        return nested.mapped(empty_batch(job), mode.from_tensor)
    with mode:
        return empty_batch(job)


def _model(job: Job, mode: QuickFakeMode) -> nn.Module:
    """The untreated network on fake tensors. Code that fails on them may work on real ones."""
    current_stage.enter("the model")
    try:
        with mode:
            return initial_model(job)[0]
    except Exception:
        model, _ = initial_model(job)
    for module in model.modules():
        tables: tuple[dict[str, Any], ...] = (module._parameters, module._buffers)
        for tensors in tables:
            for name, tensor in tensors.items():
                tensors[name] = None if tensor is None else mode.from_tensor(tensor)
    return model
