"""Loops that change gradients or split parameters by hand, with factored weights.

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
from ondevice_bench.methods.optimizer_guard import WrongOptimizer
from ondevice_bench.methods.pending_gradient import (
    ChangedGradient,
    UnclearedGradient,
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
