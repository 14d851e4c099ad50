"""Weights that come with the call, and the transforms of `torch.func`."""

import copy

import pytest
import torch

from ondevice_bench.errors import Refusal
from tests.methods.loops import FACTORED, FULL, batches, loss, treated


def fast_weights(module):
    return {
        name: each.detach().clone().requires_grad_() for name, each in module.named_parameters()
    }


@pytest.mark.parametrize("method", ["lora", "lora_fa"])
def test_a_network_that_gets_its_weights_in_the_call_has_their_gradients(method):
    treatment = treated(method)
    module, (first, *_) = treatment.module, batches()
    loss(module, first).backward()
    held = fast_weights(module)
    loss(lambda x: torch.func.functional_call(module, held, x), first).backward()
    for name, parameter in module.named_parameters():
        if parameter.grad is not None:
            assert torch.allclose(held[name].grad, parameter.grad, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize(
    ("method", "says"),
    [
        ("wsi", r"^0\.0: .*cannot reach factors that are no parameters"),
        ("wasi", r"^0\.0: .*cannot reach factors that are no parameters"),
        ("checkpoint", r"^0: .*must find the same weights"),
    ],
)
def test_weights_that_the_method_could_not_train_are_refused_in_the_call(method, says):
    module = treated(method, **(FULL if "w" in method else {})).module
    with pytest.raises(Refusal, match=says):
        torch.func.functional_call(module, fast_weights(module), batches()[0][0])


def reading(module):
    return lambda x: torch.nn.functional.linear(module[0](x), module[1][0].weight).sum()


@FACTORED
@pytest.mark.parametrize("reads", [False, True])
def test_parameters_of_the_loop_that_the_method_could_not_train_are_refused(method, reads):
    module = treated(method, **FULL).module
    held = {name: torch.nn.Parameter(each) for name, each in fast_weights(module).items()}
    if reads:
        module[0] = torch.nn.Linear(6, 9).double()
        module.forward, held = reading(module), {"1.0.left": fast_weights(module)["1.0.left"]}
    with pytest.raises(Refusal, match=r"^(2|1\.0): .*cannot reach factors that are not"):
        torch.func.functional_call(module, held, batches()[0][0]).sum().backward()


def test_weights_of_the_call_that_bias_only_would_let_train_are_refused():
    module, (x, _) = treated("bias_only").module, batches()[0]
    with pytest.raises(Refusal, match="bias_only: other code lets parameters train that the meth"):
        torch.func.functional_call(module, fast_weights(module), x)
    held = {
        name: each.detach().clone().requires_grad_(each.requires_grad)
        for name, each in module.named_parameters()
    }
    torch.func.functional_call(module, held, x)


@pytest.mark.parametrize("method", ["saved_bf16", "checkpoint", "lora", "lora_fa", "bias_only"])
def test_transforms_of_torch_func_run_without_what_only_saves_memory(method):
    module = treated(method).module
    held = {
        name: each.detach()
        for name, each in module.named_parameters()
        if method != "bias_only" or each.requires_grad
    }
    plain = copy.deepcopy(module)
    first = batches()[0]

    def value(held, module):
        return loss(lambda x: torch.func.functional_call(module, held, x), first)

    if method == "checkpoint":
        module, held = module[0], {k[2:]: v for k, v in held.items() if k[:2] == "0."}
        found = torch.func.grad(lambda x: module(x).square().sum())(first[0])
        x = first[0].clone().requires_grad_()
        (expected,) = torch.autograd.grad(plain[0](x).square().sum(), x)
        assert torch.allclose(found, expected, rtol=1e-12, atol=1e-14)
        return
    found = torch.func.grad(value)(held, module)
    loss(plain, first).backward()
    rough = (
        {"rtol": 0.05, "atol": 1e-3} if method == "saved_bf16" else {"rtol": 1e-12, "atol": 1e-14}
    )
    for name, parameter in plain.named_parameters():
        if parameter.grad is not None:
            assert torch.allclose(found[name], parameter.grad, **rough)


@pytest.mark.parametrize("method", ["asi", "hosvd", "wsi"])
def test_transforms_of_torch_func_are_refused_where_the_method_has_none(method):
    module = treated(method, **FULL).module
    with pytest.raises(Refusal, match=r"^0\.0: the method cannot run within a transform"):
        torch.func.grad(lambda x: module(x).sum())(batches()[0][0])
