"""The optimizer of a loop: its hooks, its options, and the parameters that it has."""

import copy
import math

import pytest
import torch
from torch import nn

from ondevice_bench.errors import Refusal
from ondevice_bench.methods.optimizer_guard import WrongOptimizer
from tests.methods.loops import (
    EXACT,
    FACTORED,
    FULL,
    RATE,
    batches,
    loss,
    plainly,
    same,
    train,
    treated,
    unchanged,
    weights,
)


@pytest.mark.parametrize("kind", ["sgd", "adamw"])
@pytest.mark.parametrize(
    "method", ["vanilla", "update_in_backward", [("galore", {"rank": 2}), ("asi", FULL)]]
)
def test_hooks_of_a_step_run_once_in_a_step(method, kind):
    parameter = nn.Parameter(torch.zeros(1))
    torch.optim.SGD([parameter], lr=RATE)  # from now on, torch's own steps call hooks, too
    torch.optim.AdamW([parameter], lr=RATE)
    treatment = treated(method)
    optimizer, calls = treatment.optimizer(lr=RATE, kind=kind), []
    optimizer.register_step_pre_hook(lambda *_: calls.append("before"))
    optimizer.register_step_post_hook(lambda *_: calls.append("after"))
    train(treatment.module, optimizer, 2)
    assert calls == ["before", "after"] * 2


@FACTORED
def test_a_schedule_that_sets_momentum_is_refused_before_a_step(method):
    treatment = treated(method, **FULL)
    optimizer = treatment.optimizer(lr=RATE)
    torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, 10)
    before = weights(treatment.module)
    loss(treatment.module, batches()[0]).backward()
    with pytest.raises(ValueError, match=r"momentum needs a state.*cycle_momentum=False"):
        optimizer.step()
    assert unchanged(treatment.module, before)


@FACTORED
def test_each_factored_layer_has_the_options_of_its_group(method):
    def grouped(module, optimizer):
        (group,) = optimizer.param_groups
        slow = {id(each) for each in module[2].parameters()}
        first = [each for each in group["params"] if id(each) not in slow]
        rest = [each for each in group["params"] if id(each) in slow]
        optimizer.param_groups = [
            {**group, "params": first},
            {**group, "params": rest, "lr": RATE / 10, "weight_decay": 0.1},
        ]
        train(module, optimizer)

    treatment = treated(method, **FULL)
    grouped(treatment.module, treatment.optimizer(lr=RATE))
    assert same(treatment.merge(), plainly(grouped))


@EXACT
def test_a_rate_that_begins_at_zero_is_exact(method, options):
    def warmed(module, optimizer):
        for rate in (0.0, RATE):
            optimizer.param_groups[0]["lr"] = rate
            train(module, optimizer, 1)

    treatment = treated(method, **options)
    warmed(treatment.module, treatment.optimizer(lr=RATE))
    assert same(treatment.merge(), plainly(warmed))


def test_options_that_change_between_backward_and_step_are_refused():
    treatment = treated("update_in_backward")
    optimizer = treatment.optimizer(lr=RATE)
    loss(treatment.module, batches()[0]).backward()
    optimizer.param_groups[0]["lr"] = RATE / 2
    with pytest.raises(Refusal, match=r"options of the optimizer .* changed between"):
        optimizer.step()


def test_weights_that_change_between_backward_and_step_are_refused():
    treatment = treated("update_in_backward")
    optimizer = treatment.optimizer(lr=RATE)
    loss(treatment.module, batches()[0]).backward()
    with torch.no_grad():
        treatment.module[2].weight.mul_(0.99)
    with pytest.raises(Refusal, match=r"other code changed a weight between backward and step"):
        optimizer.step()


@FACTORED
def test_factors_are_updated_in_place(method):
    treatment = treated(method, **FULL)
    places = [each.data_ptr() for each in treatment.module.parameters()]
    train(treatment.module, treatment.optimizer(lr=RATE))
    assert [each.data_ptr() for each in treatment.module.parameters()] == places


def test_a_projected_gradient_that_is_not_finite_is_named():
    treatment = treated("galore", rank=2)
    optimizer = treatment.optimizer(lr=RATE)
    (math.nan * loss(treatment.module, batches()[0])).backward()
    with pytest.raises(ValueError, match=r"^the gradient of a projected weight holds NaN"):
        optimizer.step()


def test_parameters_that_an_optimizer_gets_later_are_checked_too():
    treatment = treated("galore", rank=2)
    module = treatment.module
    biases = [each for each in module.parameters() if each.ndim == 1]
    optimizer = torch.optim.SGD(biases, lr=RATE)
    train(module, optimizer, 1)
    optimizer.add_param_group({"params": [module[2].weight]})
    with pytest.raises(WrongOptimizer, match="galore: this optimizer does not know"):
        train(module, optimizer, 1)


@pytest.mark.parametrize(("method", "options"), [("wsi", FULL), ("lora", {}), ("lora_fa", {})])
def test_an_optimizer_with_parameters_that_merge_has_taken_away_is_refused(method, options):
    treatment = treated(method, **options)
    optimizer = treatment.optimizer(lr=RATE)
    train(treatment.module, optimizer)
    copy.deepcopy(treatment).merge()
    train(treatment.module, optimizer)
    plain = treatment.merge()
    with pytest.raises(WrongOptimizer, match=r"merge\(\) has taken away.* after merge\(\)$"):
        train(plain, optimizer)
    train(plain, torch.optim.SGD(plain.parameters(), lr=RATE))
