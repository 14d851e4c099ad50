"""WSI with an SVD at every step: the best weight of its rank, whatever the gradient was."""

import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from ondevice_bench.measure.fidelity import FactoredStep
from ondevice_bench.methods.optimizer import MomentumRefused
from ondevice_bench.methods.optimizer_guard import WrongOptimizer
from ondevice_bench.methods.pending_gradient import UnconsumedUpdate
from ondevice_bench.methods.treatment import treat
from tests.methods.conftest import conv_cases, difference, linear_cases, randn

RATE, DECAY = 0.05, 1e-2


def truncated(matrix, rank):
    u, s, vt = torch.linalg.svd(matrix, full_matrices=False)
    return (u[:, :rank] * s[:rank]) @ vt[:rank]


def dense_step(plain, rank, x, dy, clip):
    """One step of plain training, and the best weight of that rank after it."""
    plain.zero_grad()
    plain(x).backward(dy)
    norm = torch.linalg.vector_norm(torch.cat([p.grad.flatten() for p in plain.parameters()]))
    shrink = 1.0 if clip is None else min(1.0, clip / (norm.item() + 1e-6))
    with torch.no_grad():
        for parameter in plain.parameters():
            parameter.mul_(1 - RATE * DECAY).sub_(RATE * shrink * parameter.grad)
        plain.weight.copy_(truncated(plain.weight.flatten(1), rank).view_as(plain.weight))


@pytest.mark.filterwarnings("ignore:Using padding=.same")
@pytest.mark.parametrize("clip", [None, 0.5])
@given(case=st.one_of(linear_cases(), conv_cases(groups=False)), fraction=st.floats(0.2, 1))
@settings(max_examples=20, deadline=None)
def test_five_steps_are_dense_steps_each_followed_by_an_svd(clip, case, fraction):
    layer, x = case
    treatment = treat(nn.Sequential(copy.deepcopy(layer)), "wsi_svd", fraction=fraction)
    (model,) = treatment.module
    rank = model.left.shape[1]
    plain = copy.deepcopy(layer)
    with torch.no_grad():
        plain.weight.copy_(truncated(plain.weight.flatten(1), rank).view_as(plain.weight))
    optimizer = treatment.optimizer(RATE, DECAY, clip)
    for step in range(5):
        y = model(x)
        dy = randn(*y.shape, seed=step)
        assert difference(y.detach(), plain(x).detach()) <= 1e-8
        y.backward(dy)
        dense_step(plain, rank, x, dy, clip)
        optimizer.step()
        optimizer.zero_grad()
        assert difference(model.weight, plain.weight) <= 1e-8
    identity = torch.eye(rank, dtype=torch.float64)
    assert (model.left.T @ model.left - identity).abs().max() <= 1e-10


def small():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 5)).double()


def test_the_gradient_that_waits_is_dense_and_counts_as_a_gradient():
    treatment = treat(small(), "wsi_svd", rank=2)
    treatment.module(randn(4, 6)).sum().backward()
    assert [tuple(each.shape) for each in treatment.gradients()] == [(5, 6)]


def test_gradients_of_two_passes_are_added():
    x = randn(8, 6)
    found = []
    for parts in (1, 2):
        treatment = treat(small(), "wsi_svd", rank=2)
        optimizer = treatment.optimizer(RATE, accumulate=parts)
        for part in x.split(len(x) // parts):
            treatment.module(part).square().sum().backward()
        optimizer.step()
        found.append(treatment.merge()[0].weight)
    assert difference(*found) <= 1e-10


def test_limits_of_a_gradient_outside_of_parameters_name_the_way_out():
    treatment = treat(small(), "wsi_svd", rank=2)
    with pytest.raises(MomentumRefused, match="use momentum 0, or `wsi` with `update: factors`"):
        treatment.optimizer(RATE, momentum=0.9)
    stock = torch.optim.SGD(treatment.module.parameters(), lr=RATE)
    treatment.module(randn(4, 6)).sum().backward()
    with pytest.raises(WrongOptimizer, match="or `wsi` with `update: factors`"):
        stock.step()
    with pytest.raises(UnconsumedUpdate):
        treatment.module(randn(4, 6))


def test_the_fidelity_pass_checks_the_step_by_an_svd():
    left, _ = torch.linalg.qr(randn(6, 2))
    right, gradient = randn(2, 5, seed=1), randn(6, 5, seed=2)
    step = FactoredStep(left, right, gradient, decay=0.99, rate=0.5, basis="decomposed")
    weight = truncated(0.99 * left @ right - 0.5 * gradient, 2)
    basis = torch.linalg.svd(weight)[0][:, :2]
    assert step.error(basis, basis.T @ weight) == 0
    wrong = 0.99 * left @ right
    assert step.error(left, left.T @ wrong) > 0.1
