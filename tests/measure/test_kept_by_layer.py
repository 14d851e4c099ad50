"""The bytes that single layers keep, against sums on paper and what methods declare."""

import pytest
import torch
from torch import nn

from ondevice_bench.measure.kept_by_layer import kept_by_layer, undeclared
from ondevice_bench.methods.treatment import treat
from tests.measure.test_activations import SumStep


def kept(model, x, names):
    return kept_by_layer(SumStep(model, x), {name: model.get_submodule(name) for name in names})


def test_a_layer_counts_its_input_whoever_saved_it_first():
    # the first input is the batch, the second is saved by the ReLU
    model = nn.Sequential(nn.Linear(10, 20), nn.ReLU(), nn.Linear(20, 5))
    assert kept(model, torch.randn(4, 10), ["0", "2"]) == {"0": 4 * 10 * 4, "2": 4 * 20 * 4}


def test_an_input_that_is_part_of_a_larger_tensor_counts_alone():
    class First(nn.Module):
        def forward(self, x):
            return x[:, 0]

    model = nn.Sequential(nn.Linear(10, 20), First(), nn.Linear(20, 5))
    assert kept(model, torch.randn(4, 7, 10), ["2"]) == {"2": 4 * 20 * 4}


def test_a_layer_that_is_called_twice_is_not_compared():
    shared = nn.Linear(10, 10)
    model = nn.Sequential(shared, nn.ReLU(), shared, nn.Linear(10, 5))
    assert kept(model, torch.randn(4, 10), ["0", "3"]) == {"3": 4 * 10 * 4}


@pytest.mark.parametrize("method", ["svd", "hosvd", "asi", "wsi", "wasi", "lora", "lora_fa"])
def test_our_methods_keep_what_they_declare(method):
    model = nn.Sequential(nn.Linear(10, 12), nn.GELU(), nn.Linear(12, 12), nn.Linear(12, 5))
    treatment = treat(model, method, rank=2)
    found = kept(treatment.module, torch.randn(4, 6, 10), ["0", "2", "3"])
    declared = {report.name: report.stored_bytes for report in treatment.report()}
    assert found == declared
    assert undeclared(declared, found) == ""


def test_layers_that_keep_more_than_is_declared_are_named():
    assert undeclared({"a": 1000, "b": 1000, "c": 1}, {"a": 1009, "b": 1500}) == (
        "the method declares 1,000 B for 1 of 3 changed layers, but these layers keep 1,500 B: b"
    )
