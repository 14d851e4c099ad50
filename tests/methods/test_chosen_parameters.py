"""Loops that choose which parameters train, clip or belong to an optimizer.

Each is as plain training at full rank, or refused.
"""

import copy

import pytest
import torch
from torch import nn

from ondevice_bench.errors import Refusal
from ondevice_bench.methods.optimizer_guard import WrongOptimizer
from ondevice_bench.methods.pending_gradient import (
    UnconsumedUpdate,
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


def frozen_by_rule(module):
    """Norms by their names and biases by their shape, as loops of fine-tuning do."""
    for name, parameter in module.named_parameters():
        if "norm" in name or parameter.ndim == 1:
            parameter.requires_grad_(False)


def clips_what_trains(module, optimizer):
    for batch in batches():
        loss(module, batch).backward()
        nn.utils.clip_grad_norm_([p for p in module.parameters() if p.requires_grad], 0.1)
        optimizer.step()
        optimizer.zero_grad()


@FACTORED
@pytest.mark.parametrize("is_early", [True, False])
def test_a_rule_that_freezes_norms_and_biases_leaves_the_weights_to_train(method, is_early):
    def trained(module, optimizer):
        if is_early:
            frozen_by_rule(module)
        optimizer = optimizer()
        if not is_early:
            frozen_by_rule(module)
        clips_what_trains(module, optimizer)

    plain = network()
    trained(
        plain, lambda: torch.optim.SGD([p for p in plain.parameters() if p.requires_grad], RATE)
    )
    treatment = treated(method, **FULL)
    trained(treatment.module, lambda: treatment.optimizer(lr=RATE))
    assert same(treatment.merge(), plain)


@FACTORED
@pytest.mark.parametrize("is_early", [True, False])
@pytest.mark.parametrize("has_others", [True, False])
def test_a_list_to_clip_without_the_norms_that_a_rule_froze_is_refused(
    method, is_early, has_others
):
    treatment = treated(method, **FULL)
    module = treatment.module
    optimizer = None if is_early else treatment.optimizer(lr=RATE)
    frozen_by_rule(module)
    module[2].bias.requires_grad_(has_others)
    clipped = [p for p in module.parameters() if p.requires_grad]
    optimizer = optimizer or treatment.optimizer(lr=RATE)
    twin, _, of_twin = copy.deepcopy((module, optimizer, clipped))
    plain = network()
    for each, parameters in ((module, clipped), (twin, of_twin)):
        loss(each, batches()[0]).backward()
        loss(plain, batches()[0]).backward()
        nn.utils.clip_grad_norm_(plain.parameters(), 0.1)
        with pytest.raises(Refusal, match=r"^0\.0: the loop has frozen `pending.norm`"):
            nn.utils.clip_grad_norm_(parameters, 0.1)


@FACTORED
def test_weight_decay_is_that_of_the_group_of_the_factors(method):
    def split(module, optimizer):
        (group,) = optimizer.param_groups
        names = {id(each): name for name, each in module.named_parameters()}
        decayed = [p for p in group["params"] if p.ndim >= 2 and "norm" not in names[id(p)]]
        kept = {id(each) for each in decayed}
        others = [p for p in group["params"] if id(p) not in kept]
        optimizer.param_groups = [
            {**group, "params": decayed, "weight_decay": 0.1},
            {**group, "params": others},
        ]
        train(module, optimizer)

    treatment = treated(method, **FULL)
    split(treatment.module, treatment.optimizer(lr=RATE))
    assert same(treatment.merge(), plainly(split))


@FACTORED
def test_a_step_that_maximizes_is_that_of_plain_training(method):
    def maximizes(module, optimizer):
        optimizer.param_groups[0].update(maximize=True, weight_decay=0.1)
        train(module, optimizer)

    treatment = treated(method, **FULL)
    maximizes(treatment.module, treatment.optimizer(lr=RATE))
    assert same(treatment.merge(), plainly(maximizes))


@EXACT
def test_two_optimizers_train_their_own_halves_of_a_network(method, options):
    def halves(module, optimizer):
        optimizers = optimizer(), optimizer()
        for each, part in zip(optimizers, (module[:2], module[2]), strict=True):
            each.param_groups[0]["params"] = list(part.parameters())
        for batch in batches():
            loss(module, batch).backward()
            for each in optimizers:
                each.step()
                each.zero_grad()

    plain, treatment = network(), treated(method, **options)
    halves(plain, lambda: torch.optim.SGD(plain.parameters(), lr=RATE))
    halves(treatment.module, lambda: treatment.optimizer(lr=RATE))
    assert same(treatment.merge(), plain)


@FACTORED
def test_a_layer_that_no_optimizer_has_is_refused_when_it_goes_on(method):
    treatment = treated(method, **FULL)
    optimizer = treatment.optimizer(lr=RATE)
    optimizer.param_groups[0]["params"] = list(treatment.module[2].parameters())
    with pytest.raises(UnconsumedUpdate, match=r"^0\.0: "):
        train(treatment.module, optimizer)


@FACTORED
@pytest.mark.parametrize("left_out", ["norm", "left"])
def test_an_optimizer_without_the_factors_or_without_their_norm_is_refused(method, left_out):
    treatment = treated(method, **FULL)
    module = treatment.module
    before = weights(module)
    optimizer = treatment.optimizer(lr=RATE)
    chosen = [each for name, each in module.named_parameters() if left_out not in name]
    optimizer.param_groups[0]["params"] = chosen
    with pytest.raises(WrongOptimizer, match=r"^0\.0: .* not both"):
        train(module, optimizer)
    with pytest.raises(WrongOptimizer, match=r": this optimizer cannot make a subspace update"):
        torch.optim.SGD(chosen, lr=RATE).step()
    assert unchanged(module, before)


@FACTORED
def test_factors_that_train_only_later_are_refused_to_a_foreign_optimizer_then(method):
    treatment = treated(method, **FULL)
    module = treatment.module
    for name, parameter in module.named_parameters():
        parameter.requires_grad_("bias" in name)
    optimizer = torch.optim.SGD(module.parameters(), lr=RATE)
    train(module, optimizer, 1)
    module.requires_grad_(True)
    with pytest.raises(WrongOptimizer, match=r": this optimizer cannot make a subspace update"):
        train(module, optimizer, 1)


@pytest.mark.parametrize(
    ("method", "options"),
    [("wsi", FULL), ("wsi_svd", FULL), ("galore", {"rank": 2}), ("update_in_backward", {})],
)
def test_the_optimizer_of_another_treatment_is_refused(method, options):
    one, other = treated(method, **options), treated(method, **options)
    optimizer = one.optimizer(lr=RATE)
    optimizer.add_param_group({"params": list(other.module.parameters())})
    loss(other.module, batches()[0]).backward()
    with pytest.raises(WrongOptimizer, match=r"this optimizer (cannot make|does not know)"):
        optimizer.step()


def test_an_optimizer_that_projects_other_layers_of_the_network_is_refused():
    module = network()
    treated("galore", module, layers="pattern:0.0", rank=2)
    optimizer = treated("galore", module, layers="pattern:2", rank=2).optimizer(lr=RATE)
    with pytest.raises(WrongOptimizer, match="galore: this optimizer does not know"):
        train(module, optimizer)


@pytest.mark.parametrize("first", [True, False])
def test_a_weight_that_another_network_trains_is_refused_in_the_same_optimizer(first):
    one, other = network(), network()
    other[2].weight = one[2].weight
    treated("wsi", one, **FULL, update="factors")
    optimizer = torch.optim.SGD([*one.parameters(), *other.parameters()], lr=RATE)
    if not first:
        train(one, optimizer, 1)
    loss(one, batches()[0]).backward()
    loss(other, batches()[0]).backward()
    with pytest.raises(WrongOptimizer, match="2: another network trains the weight"):
        optimizer.step()
