"""`lean` trains every network with the same bits as plain training."""

import pytest
import torch

from ondevice_bench.worker.workload import build
from tests.models.conftest import SMALL


@pytest.mark.parametrize("model", SMALL)
def test_every_family_trains_with_equal_bits(make_job, model):
    weights = []
    for method in ("vanilla", "lean"):
        workload = build(make_job("trace", model, method=method, batch=2))
        torch.manual_seed(0)
        workload.step()
        weights.append(list(workload.model.parameters()))
    assert all(torch.equal(a, b) for a, b in zip(*weights, strict=True))
