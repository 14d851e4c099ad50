"""Backward passes of a loop: which gradients they leave, and what changes between them."""

import copy

import pytest
import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from ondevice_bench.errors import Refusal
from ondevice_bench.methods.subspace import ProductsGradient
from ondevice_bench.methods.treatment import treat
from ondevice_bench.specs.layout import ModelLayout
from tests.methods.loops import (
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

IN_PLACE = "modified by an inplace operation|changed in place|same weights"


@FACTORED
def test_a_penalty_on_all_parameters_is_refused_before_a_step(method):
    treatment = treated(method, **FULL)
    module, optimizer = treatment.module, treatment.optimizer(lr=RATE)
    before = weights(module)
    penalty = sum(each.square().sum() for each in module.parameters())
    (loss(module, batches()[0]) + 0.1 * penalty).backward()
    with pytest.raises(Refusal, match=r"^0\.0: something else gave the factors a gradient"):
        optimizer.step()
    assert unchanged(module, before)


def test_clearing_between_forward_and_backward_leaves_a_thin_gradient():
    treatment = treated("wsi", **FULL)
    module, optimizer = treatment.module, treatment.optimizer(lr=RATE)
    for batch in batches():
        value = loss(module, batch)
        optimizer.zero_grad()
        value.backward()
        assert isinstance(module[2].gradient, ProductsGradient)
        optimizer.step()
    assert same(treatment.merge(), plainly(train))


def test_a_gradient_by_the_input_leaves_a_thin_gradient_for_the_step():
    treatment = treated("wsi", **FULL)
    module, optimizer = treatment.module, treatment.optimizer(lr=RATE)
    for batch in batches():
        x = batch[0].clone().requires_grad_()
        torch.autograd.grad(loss(module, (x, batch[1])), x)
        loss(module, batch).backward()
        assert isinstance(module[2].gradient, ProductsGradient)
        optimizer.step()
        optimizer.zero_grad()
    assert same(treatment.merge(), plainly(train))


@pytest.mark.parametrize(
    ("method", "options"),
    [
        ("vanilla", {}),
        ("asi", FULL),
        ("wsi", FULL),
        ("wasi", FULL),
        ("lora", {}),
        ("checkpoint", {}),
        ("saved", {"bits": 8}),
        ("saved_bf16", {}),
        ("lean", {}),
        ("galore", {"rank": 2}),
    ],
)
def test_a_step_between_forward_and_backward_is_refused_as_in_plain_training(method, options):
    treatment = treated(method, **options)
    module, optimizer = treatment.module, treatment.optimizer(lr=RATE)
    first, second, _ = batches()
    early = loss(module, first)
    loss(module, second).backward()
    optimizer.step()
    with pytest.raises((RuntimeError, Refusal), match=IN_PLACE):
        early.backward()


def test_a_block_that_would_run_again_with_other_weights_is_refused():
    module = treated("checkpoint").module
    early = loss(module, batches()[0])
    loss(module, batches()[1]).backward()
    torch.optim.SGD(module[0].parameters(), lr=RATE).step()
    with pytest.raises(Refusal, match=r"^0: checkpoint runs this block again in backward"):
        early.backward()


@pytest.mark.parametrize("method", ["saved", "saved_bf16", "lean", "checkpoint"])
def test_statistics_that_move_between_two_forwards_are_no_change_of_a_saved_tensor(method):
    torch.manual_seed(0)
    module = nn.Sequential(nn.Sequential(nn.Linear(6, 9), nn.BatchNorm1d(9)), nn.Linear(9, 3))
    treatment = treat(
        module,
        method,
        layout=ModelLayout(blocks="0", head="1"),
        **({"bits": 8} if method == "saved" else {}),
    )
    optimizer = treatment.optimizer(lr=RATE)
    for _ in range(2):
        (module(torch.randn(8, 6)) + module(torch.randn(8, 6))).square().sum().backward()
        optimizer.step()
        optimizer.zero_grad()


@pytest.mark.parametrize("is_alone", [True, False])
def test_two_backward_passes_through_one_graph_are_refused(is_alone):
    other = treated("update_in_backward")
    other.optimizer(lr=RATE)
    if not is_alone:  # it waits for its step()
        loss(other.module, batches()[0]).backward()
    treatment = treated("update_in_backward")
    treatment.optimizer(lr=RATE)
    value = loss(treatment.module, batches()[0])
    value.backward(retain_graph=True)
    with pytest.raises(Refusal, match="a second gradient arrived for weights that are updated"):
        value.backward()


def test_a_network_with_outputs_of_several_depths_is_exact():
    class Two(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.second, self.third = (nn.Linear(6, 6) for _ in range(3))

        def forward(self, x):
            early = self.first(x)
            middle = self.second(torch.tanh(early))
            return {"early": early, "others": (middle, self.third(torch.tanh(middle)))}

    torch.manual_seed(0)
    networks = [Two().double()]
    networks.append(copy.deepcopy(networks[0]))
    for method, module in zip(("update_in_backward", "vanilla"), networks, strict=True):
        optimizer = treat(module, method).optimizer(lr=RATE)
        for x, _ in batches():
            found = module(x)
            tensors = (found["early"], *found["others"])
            sum(each.square().mean() for each in tensors).backward()
            optimizer.step()
            optimizer.zero_grad()
    assert all(map(torch.equal, *(weights(each).values() for each in networks)))


@pytest.mark.parametrize(("method", "options"), [("lean", {}), ("fewbit", {"bits": 4})])
def test_a_loop_that_checkpoints_the_whole_network_trains_plainly(method, options):
    def loop(module, optimizer):
        for x, classes in batches():
            y = checkpoint(module, x, use_reentrant=False)
            nn.functional.cross_entropy(y, classes).backward()
            optimizer.step()
            optimizer.zero_grad()

    def with_relu():
        return nn.Sequential(network(), nn.ReLU(), nn.Linear(3, 3).double())

    plain, module = with_relu(), with_relu()
    treatment = treat(module, method, **options)
    loop(plain, torch.optim.SGD(plain.parameters(), lr=RATE))
    loop(module, treatment.optimizer(lr=RATE))
    assert same(treatment.merge(), plain)


@FACTORED
def test_weights_that_are_loaded_before_the_step_get_the_gradient_of_before_or_are_refused(method):
    def loop(module, optimizer):
        first, second, _ = batches()
        saved = copy.deepcopy(module.state_dict())
        loss(module, first).backward()
        optimizer.step()
        optimizer.zero_grad()
        loss(module, second).backward()
        module.load_state_dict(saved)
        optimizer.step()

    treatment = treated(method, **FULL)
    before, optimizer = weights(treatment.module), treatment.optimizer(lr=RATE)
    if method == "wsi":
        with pytest.raises(Refusal, match=r"^0\.0: weights were loaded between backward and step"):
            loop(treatment.module, optimizer)
        assert unchanged(treatment.module, before)
        optimizer.zero_grad()
        train(treatment.module, optimizer)
        assert same(treatment.merge(), plainly(train))
    else:
        loop(treatment.module, optimizer)
        assert same(treatment.merge(), plainly(loop))


def clamped(parameters):
    """A loop clips each gradient by a hook, as many people do."""
    return [each.register_hook(lambda gradient: gradient.clamp(-0.01, 0.01)) for each in parameters]


@pytest.mark.parametrize("others", [[], [("asi", FULL)], [("galore", {"rank": 9, "scale": 1.0})]])
def test_a_hook_on_a_weight_sees_the_gradient_of_the_whole_batch_once(others):
    plain, module = network(), network()
    treatment = treated([*others, ("microbatch", {"slices": 3})], module)
    optimizers = [torch.optim.SGD(plain.parameters(), RATE), treatment.optimizer(lr=RATE)]
    handles = [*clamped(plain.parameters()), *clamped(module.parameters())]
    for number, batch in enumerate(batches(3)):
        loss(plain, batch).backward()
        treatment.backward(batch, loss)
        if number:  # the first gradients are added up
            for optimizer in optimizers:
                optimizer.step()
                optimizer.zero_grad()
    assert same(module, plain)
    for handle in handles:
        handle.remove()
    assert not any(len(each._backward_hooks) for each in plain.parameters())
    treatment.backward(batches(1)[0], loss)
    loss(plain, batches(1)[0]).backward()
    assert torch.allclose(module[2].weight.grad, plain[2].weight.grad)


def test_hooks_are_there_again_after_an_error_within_a_slice():
    treatment = treated("microbatch", slices=2)
    weight = treatment.module[2].weight
    clamped([weight])
    with pytest.raises(ZeroDivisionError):
        treatment.backward(batches(1)[0], lambda *_: 1 / 0)
    treatment.backward(batches(1)[0], lambda *given: 100 * loss(*given))
    assert weight.grad.abs().max() == 0.01


@pytest.mark.parametrize(
    ("parts", "register"),
    [
        ([], "register_post_accumulate_grad_hook"),
        ([("update_in_backward", {})], "register_post_accumulate_grad_hook"),
        ([("update_in_backward", {})], "register_hook"),
        ([("galore", {"rank": 9})], "register_post_accumulate_grad_hook"),
        ([("wsi", FULL)], "register_hook"),
    ],
)
def test_a_hook_that_cannot_see_the_gradient_of_the_whole_batch_is_refused(parts, register):
    treatment = treated([*parts, ("microbatch", {"slices": 2})])
    treatment.optimizer(lr=RATE)
    before = weights(treatment.module)
    for each in treatment.module.parameters():
        getattr(each, register)(lambda _: None)
    with pytest.raises(Refusal, match=r"has a hook on its gradient|cannot run the hooks"):
        treatment.backward(batches(1)[0], loss)
    assert unchanged(treatment.module, before)
