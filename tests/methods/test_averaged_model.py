"""Averages of weights, as `AveragedModel` computes them, of treated networks."""

import copy

import pytest
import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel

from ondevice_bench.errors import Refusal
from ondevice_bench.methods import treat

KEEPING = ("asi", "hosvd", "svd", "gradient_filter")
STEPS = 3


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, padding=1)
        self.norm = nn.BatchNorm2d(4)
        self.head = nn.Linear(4 * 64, 5)

    def forward(self, x):
        return self.head(torch.relu(self.norm(self.conv(x))).flatten(1))


def trained(method, average_of):
    """The average of the networks after each step, and the networks without the method."""
    torch.manual_seed(0)
    options = {} if method == "gradient_filter" else {"rank": 2}
    treatment = treat(Net().double(), method, **options)
    optimizer = treatment.optimizer(lr=0.1)
    averaged, plain = AveragedModel(average_of(treatment)), []
    for step in range(STEPS):
        x = torch.randn(6 + step, 3, 8, 8, dtype=torch.float64)
        treatment.module(x).square().mean().backward()
        optimizer.step()
        optimizer.zero_grad()
        averaged.update_parameters(average_of(treatment))
        plain.append(copy.deepcopy(treatment).merge())
    return averaged.module, plain


def assert_average(found, plain):
    for name, parameter in found.named_parameters():
        mean = torch.stack([each.get_parameter(name).detach() for each in plain]).mean(0)
        assert torch.allclose(parameter, mean, rtol=1e-12, atol=1e-12)
    for name, buffer in plain[-1].named_buffers():
        assert torch.equal(found.get_buffer(name), buffer)


@pytest.mark.parametrize("method", KEEPING)
def test_weights_that_a_method_keeps_are_averaged_as_usual(method):
    found, plain = trained(method, lambda treatment: treatment.module)
    assert_average(found, plain)


@pytest.mark.parametrize("method", [*KEEPING, "wsi", "wasi", "lora", "lora_fa", "wsi_svd"])
def test_merged_networks_have_an_average_with_every_method(method):
    assert_average(*trained(method, lambda treatment: copy.deepcopy(treatment).merge()))


@pytest.mark.parametrize("method", ["wsi", "wasi", "wsi_svd"])
def test_an_average_of_factors_is_refused_when_it_computes(method):
    averaged, _ = trained(method, lambda treatment: treatment.module)
    with pytest.raises(Refusal, match=r"^conv: .*averaged.*merge\(\)"):
        averaged.eval()(torch.randn(2, 3, 8, 8, dtype=torch.float64))


@pytest.mark.parametrize("method", ["asi", "wasi"])
def test_the_bases_of_the_last_step_are_state_but_no_buffers(method):
    treatment = treat(Net(), method, rank=2)
    module = treatment.module
    module(torch.randn(6, 3, 8, 8)).sum().backward()
    bases = list(treatment.state())
    assert len(bases) == 4 + 2
    assert {id(basis) for basis in bases}.isdisjoint(id(buffer) for buffer in module.buffers())
    assert len([name for name in module.state_dict() if "basis_" in name]) == len(bases)
    module.double()
    assert {basis.dtype for basis in treatment.state()} == {torch.float64}
