"""Checkpointed attention in each family of networks that has attention."""

import pytest
import torch

from ondevice_bench.measure.activations import saved_bytes
from ondevice_bench.worker.workload import Workload, build_model, load_batch

SCOPE = (("scope", "attention"),)


@pytest.mark.parametrize("model", ["vit_b_32", "swin_t", "tinyllama", "minilm"])
def test_the_gradients_are_equal_to_the_last_bit_and_fewer_bytes_are_stored(make_job, model):
    gradients, stored = [], []
    for method in ({}, {"method": "checkpoint", "method_options": SCOPE}):
        job = make_job("trace", model, **method)
        workload = Workload(job, load_batch(job), build_model(job))
        workload.backward(workload.forward())
        gradients.append([each.clone() for each in workload.gradients()])
        workload.clear_gradients()
        stored.append(saved_bytes(workload))
    assert all(map(torch.equal, *gradients))
    assert stored[1] < stored[0]
