"""`fewbit`: its steps against the best ones, its backward against the steps, its bytes."""

import copy
import math

import numpy
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from ondevice_bench.methods.few_bit_steps import STEPS
from ondevice_bench.methods.treatment import treat

POINTS = numpy.linspace(-6, 6, 4096)
DENSITY = numpy.exp(-(POINTS**2) / 2)
CALLS = {
    "gelu": (nn.GELU(), F.gelu),
    "gelu_tanh": (nn.GELU("tanh"), lambda x: F.gelu(x, approximate="tanh")),
    "silu": (nn.SiLU(), F.silu, lambda x: F.silu(x * 1, inplace=True)),
    "hardswish": (nn.Hardswish(), F.hardswish, lambda x: F.hardswish(x * 1, inplace=True)),
    "sigmoid": (nn.Sigmoid(), F.sigmoid, torch.Tensor.sigmoid, lambda x: (x * 1).sigmoid_()),
    "tanh": (nn.Tanh(), torch.tanh, torch.Tensor.tanh, lambda x: torch.tanh_(x * 1)),
}


def derivative(name):
    """By autograd, in float64."""
    x = torch.tensor(POINTS, requires_grad=True)
    (found,) = torch.autograd.grad(CALLS[name][1](x).sum(), x)
    return found.numpy()


def least_errors(values, most):
    """The least weighted squared error of 1, 2 … `most` steps, by dynamic programming."""
    sums = [numpy.concatenate([[0], numpy.cumsum(DENSITY * values**power)]) for power in (0, 1, 2)]
    (w0, w1), (a0, a1), (b0, b1) = ((each[:-1, None], each[None, 1:]) for each in sums)
    weight = numpy.where(w1 > w0, w1 - w0, 1)
    error = numpy.where(w1 > w0, b1 - b0 - (a1 - a0) ** 2 / weight, numpy.inf)
    errors = [error[0]]  # of the points up to each place, in one step
    for _ in range(most - 1):
        errors.append(numpy.min(errors[-1][:-1, None] + error[1:], axis=0))
    return [float(each[-1]) for each in errors]


@pytest.mark.parametrize("name", STEPS)
def test_no_other_steps_have_a_smaller_error(name):
    values = derivative(name)
    least = least_errors(values, 16)
    for bits, steps in enumerate(STEPS[name], 1):
        assert len(steps.levels) == len(steps.borders) + 1 == 2**bits
        assert list(steps.borders) == sorted(steps.borders)
        numbers = numpy.searchsorted(steps.borders, POINTS)
        error = float((DENSITY * (values - numpy.take(steps.levels, numbers)) ** 2).sum())
        assert error == pytest.approx(least[2**bits - 1], rel=1e-6)


class Waves(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(3, 4, dtype=torch.complex128)

    def forward(self, x):
        return torch.tanh(torch.sigmoid(self.layer(x))).abs().sum()


def test_complex_numbers_keep_their_own_derivative():
    torch.manual_seed(0)
    network, x = Waves(), torch.randn(5, 3, dtype=torch.complex128)
    expected = torch.autograd.grad(network(x), network.layer.weight)
    treat(network, "fewbit", bits=1)
    assert torch.equal(*torch.autograd.grad(network(x), network.layer.weight), *expected)


@pytest.mark.parametrize("bits", [1, 2, 3, 4])
@pytest.mark.parametrize("name", CALLS)
def test_the_output_is_exact_and_backward_multiplies_by_the_level(name, bits):
    stream = torch.Generator().manual_seed(bits)
    x = torch.randn(3, 8, 5, 7, generator=stream).to(memory_format=torch.channels_last)
    dy = torch.randn(x.shape, generator=stream)
    steps = STEPS[name][bits - 1]
    below = (x[..., None] > torch.tensor(steps.borders)).sum(-1)
    for call in CALLS[name]:
        network = copy.deepcopy(call) if isinstance(call, nn.Module) else Calling(call)
        treat(network, "fewbit", bits=bits)
        given = x.clone().requires_grad_()
        saved = []
        with torch.autograd.graph.saved_tensors_hooks(
            lambda tensor, saved=saved: saved.append(tensor) or tensor, lambda tensor: tensor
        ):
            y = network(given)
        assert torch.equal(y, CALLS[name][1](x))
        kept = [tensor.nbytes for tensor in saved if tensor.dtype == torch.uint8]
        assert kept == [math.ceil(bits * x.numel() / 8)]
        y.backward(dy)
        assert torch.equal(given.grad, dy * torch.tensor(steps.levels)[below])


class Calling(nn.Module):
    def __init__(self, call):
        super().__init__()
        self.call = call

    def forward(self, x):
        return self.call(x)


def test_many_blocks_are_packed_as_one():
    x = torch.randn(300_001, requires_grad=True)
    network = nn.GELU()
    treat(network, "fewbit", bits=3)
    network(x).sum().backward()
    steps = STEPS["gelu"][2]
    levels = torch.tensor(steps.levels)
    assert torch.equal(x.grad, levels[torch.bucketize(x.detach(), torch.tensor(steps.borders))])
