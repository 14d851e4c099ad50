"""Loops that change gradients by hand, with factored weights.

Each is as plain training at full rank, or refused.
"""

import copy
import importlib.util
import itertools
import math

import pytest
import torch
from torch import nn

from ondevice_bench.errors import Refusal
from ondevice_bench.methods import factor_mark
from ondevice_bench.methods.pending_gradient import (
    ChangedGradient,
    UnclearedGradient,
)
from tests.methods.loops import (
    EXACT,
    FACTORED,
    FULL,
    RATE,
    batches,
    loss,
    network,
    plainly,
    same,
    train,
    treated,
    unchanged,
    weights,
)


def with_gradients(module):
    return {name: each for name, each in module.named_parameters() if each.grad is not None}


def changed_by(change):
    """A loop that changes each gradient before the update."""

    def loop(module, optimizer):
        state = {}
        for batch in batches():
            loss(module, batch).backward()
            for name, parameter in with_gradients(module).items():
                change(parameter, state, name)
            optimizer.step()
            optimizer.zero_grad()

    return loop


def lets_slow_gradients_grow(parameter, state, name):
    """Grokfast."""
    average = 0.9 * state.get(name, parameter.grad) + 0.1 * parameter.grad
    state[name] = average
    parameter.grad += 2 * average


def has_momentum(parameter, state, name):
    state[name] = 0.9 * state.get(name, 0) + parameter.grad
    parameter.grad = state[name].clone()


def decays(parameter, state, name):
    parameter.grad.add_(parameter.detach(), alpha=1e-2)


def centres(parameter, state, name):
    """Gradient centralization."""
    if parameter.ndim > 1:
        parameter.grad.sub_(parameter.grad.mean(dim=1, keepdim=True))


def clips_units(parameter, state, name):
    """Adaptive gradient clipping."""

    def norms(x):
        return x.norm() if x.ndim < 2 else x.flatten(1).norm(dim=1).view(-1, *[1] * (x.ndim - 1))

    gradient = parameter.grad
    largest = 0.01 * norms(parameter.detach()).clamp(min=1e-3)
    clipped = gradient * (largest / norms(gradient).clamp(min=1e-6))
    parameter.grad = torch.where(norms(gradient) < largest, gradient, clipped)


def adds_up(module, optimizer):
    for batch in batches(2):
        sums = {}
        for part in (batch, batches(1, 4)[0]):
            loss(module, part).backward()
            for name, parameter in with_gradients(module).items():
                sums[name] = sums.get(name, 0) + parameter.grad
            optimizer.zero_grad()
        for name, total in sums.items():
            module.get_parameter(name).grad = total
        optimizer.step()
        optimizer.zero_grad()


def adds_those_of_another_process(module, optimizer):
    first, second, _ = batches()
    twin = copy.deepcopy(module)
    loss(module, first).backward()
    loss(twin, second).backward()
    for name, parameter in with_gradients(module).items():
        parameter.grad += twin.get_parameter(name).grad
    optimizer.step()


def takes_those_of_a_copy(module, optimizer):
    """The first-order step of meta-learning."""
    twin = copy.deepcopy(module)
    loss(twin, batches()[0]).backward()
    for name, parameter in with_gradients(twin).items():
        module.get_parameter(name).grad = parameter.grad
    optimizer.step()


def adds_to_those_of_a_copy(module, optimizer):
    first, second, _ = batches()
    twin = copy.deepcopy(module)
    loss(twin, first).backward()
    for name, parameter in with_gradients(twin).items():
        module.get_parameter(name).grad = parameter.grad
    loss(module, second).backward()
    optimizer.step()


@FACTORED
@pytest.mark.parametrize(
    "loop",
    [
        changed_by(lets_slow_gradients_grow),
        changed_by(has_momentum),
        adds_up,
        adds_those_of_another_process,
        takes_those_of_a_copy,
        adds_to_those_of_a_copy,
    ],
)
def test_gradients_of_other_steps_or_networks_are_refused(method, loop):
    treatment = treated(method, **FULL)
    with pytest.raises(ChangedGradient, match=r"^0\.0: .*one factor"):
        loop(treatment.module, treatment.optimizer(lr=RATE))


@FACTORED
@pytest.mark.parametrize("change", [decays, centres, clips_units])
def test_what_depends_on_single_rows_or_the_weight_is_refused_before_a_step(method, change):
    treatment = treated(method, **FULL)
    before = weights(treatment.module)
    with pytest.raises(ChangedGradient, match=r"^0\.0: .*one factor"):
        changed_by(change)(treatment.module, treatment.optimizer(lr=RATE))
    assert unchanged(treatment.module, before)


@FACTORED
def test_weights_that_decay_by_hand_before_a_step_are_refused(method):
    treatment = treated(method, **FULL)
    optimizer = treatment.optimizer(lr=RATE)
    loss(treatment.module, batches()[0]).backward()
    with torch.no_grad():
        for parameter in treatment.module.parameters():
            parameter.mul_(0.99)
    before = weights(treatment.module)
    with pytest.raises(Refusal, match=r"^0\.0: other code has averaged, copied or changed"):
        optimizer.step()
    assert unchanged(treatment.module, before)


@EXACT
def test_a_layer_that_a_step_skips_decays_if_its_gradient_is_zero(method, options):
    def skips(module, optimizer, clears, set_to_none):
        optimizer.param_groups[0]["weight_decay"] = 0.1
        shorter = nn.Sequential(module[0], module[2])
        for each, batch in zip((module, shorter, shorter, module), batches(4), strict=True):
            loss(each, batch).backward()
            optimizer.step()
            (module if clears == "network" else optimizer).zero_grad(set_to_none)

    ways = [("optimizer", True), ("optimizer", False), ("network", False)]
    for way in ways[:2] if method == "update_in_backward" else ways:
        treatment, plain = treated(method, **options), network()
        skips(treatment.module, treatment.optimizer(lr=RATE), *way)
        skips(plain, torch.optim.SGD(plain.parameters(), lr=RATE), *way)
        assert same(treatment.merge(), plain)


@FACTORED
@pytest.mark.parametrize("has_backward", [True, False])
def test_a_gradient_that_is_not_cleared_is_not_applied_again(method, has_backward):
    treatment = treated(method, **FULL)
    optimizer = treatment.optimizer(lr=RATE)
    first, second = batches(2)
    loss(treatment.module, first).backward()
    optimizer.step()
    before = weights(treatment.module)
    if has_backward:
        loss(treatment.module, second).backward()
    with pytest.raises(UnclearedGradient, match=r": .* call zero_grad\(\) after each step\(\)"):
        optimizer.step()
    assert unchanged(treatment.module, before)


@FACTORED
def test_a_gradient_of_another_loss_that_is_cleared_leaves_no_trace(method):
    def adversary(module, optimizer):
        made = nn.Linear(4, 6).double()
        nn.init.ones_(made.weight)
        other = torch.optim.SGD(made.parameters(), lr=RATE)
        for x, _ in batches():
            optimizer.zero_grad()
            (module(x).square().mean() + module(made(x[:, :4]).detach()).mean()).backward()
            optimizer.step()
            other.zero_grad()
            fake = made(x[:, :4])
            (module(fake) + module(2 * fake)).mean().backward()  # into the gradients of both
            other.step()

    treatment = treated(method, **FULL)
    adversary(treatment.module, treatment.optimizer(lr=RATE))
    assert same(treatment.merge(), plainly(adversary))


@FACTORED
def test_a_training_with_the_same_seed_is_the_same_to_the_last_bit(method):
    def clipped():
        treatment = treated(method, **FULL)
        train(treatment.module, treatment.optimizer(lr=RATE, clip=0.1))
        return treatment.module

    assert unchanged(clipped(), weights(clipped()))


@FACTORED
@pytest.mark.parametrize("kind", [1.0, 3, math.inf, "inf"])
def test_clipping_by_another_norm_is_refused(method, kind):
    treatment = treated(method, **FULL)
    loss(treatment.module, batches()[0]).backward()
    with pytest.raises(Refusal, match=r"^0\.0: .* no norm of type .*norm_type=2"):
        nn.utils.clip_grad_norm_(treatment.module.parameters(), 0.1, kind)
    nn.utils.clip_grad_norm_(treatment.module.parameters(), 0.1)
    module = network()
    loss(module, batches()[0]).backward()
    nn.utils.clip_grad_norm_(module.parameters(), 0.1, kind)


@FACTORED
def test_slices_and_backward_passes_add_up(method):
    def adds(module, optimizer, backward):
        for _ in range(2):
            for batch in batches(2):
                backward(batch)
            optimizer.step()
            optimizer.zero_grad()

    plain = network()
    optimizer = torch.optim.SGD(plain.parameters(), lr=RATE)
    adds(plain, optimizer, lambda batch: loss(plain, batch).backward())
    treatment = treated([(method, FULL), ("microbatch", {"slices": 4})])
    optimizer = treatment.optimizer(lr=RATE, accumulate=2)
    adds(treatment.module, optimizer, lambda batch: treatment.backward(batch, loss))
    assert same(treatment.merge(), plain)


def marks_of_a_process():
    """The marks of eight updates, by a module that has just been loaded."""
    spec = importlib.util.find_spec(factor_mark.__name__)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    mark, beside, found = module.FactorMark(), torch.zeros(module.SHAPE), []
    for _ in range(8):
        mark.renew(beside)
        found.append(tuple(beside.flatten().tolist()))
    return found


def test_marks_of_two_processes_differ_and_those_of_two_updates_do():
    found = marks_of_a_process()
    assert found != marks_of_a_process()
    assert all(one != other for one, other in itertools.pairwise(found))
