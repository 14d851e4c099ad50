"""Weights that are frozen, and training in which the method has no effect."""

import copy
import pickle

import pytest
import torch
from torch import nn

from ondevice_bench.errors import Refusal
from ondevice_bench.methods.treatment import treat
from tests.methods.loops import (
    FULL,
    RATE,
    batches,
    loss,
    network,
    train,
    treated,
    unchanged,
    weights,
)


@pytest.mark.parametrize("method", ["lora", "lora_fa"])
def test_a_frozen_weight_stays_frozen_if_a_loop_lets_all_parameters_train(method):
    treatments = [treated(method), treated(method)]
    for treatment in treatments:
        optimizer = treatment.optimizer(lr=RATE)
        for batch in batches():
            if treatment is treatments[1]:
                treatment.module.requires_grad_(True)  # as loops of GANs do
            loss(treatment.module, batch).backward()
            nn.utils.clip_grad_norm_(treatment.module.parameters(), 0.01)
            optimizer.step()
            optimizer.zero_grad()
    assert all(map(torch.equal, *(weights(each.module).values() for each in treatments)))


def test_parameters_that_bias_only_has_frozen_are_not_let_train_by_other_code():
    treatment = treated("bias_only")
    treatment.module.requires_grad_(True)
    with pytest.raises(Refusal, match="bias_only: other code lets parameters train that the meth"):
        loss(treatment.module, batches()[0])
    treatment.merge()
    train(treatment.module, torch.optim.SGD(treatment.module.parameters(), lr=RATE))


def test_weights_of_a_file_that_bias_only_freezes_are_not_let_train_either():
    module = treated("bias_only").module
    module.load_state_dict(copy.deepcopy(module.state_dict()), assign=True)
    loss(module, batches()[0])
    module.requires_grad_(True)
    with pytest.raises(Refusal, match="bias_only: other code lets parameters train that the meth"):
        loss(module, batches()[0])


def test_what_a_choice_of_last_layers_has_frozen_trains_after_merge():
    module = network()
    loss(module, batches()[0]).backward()
    optimizer = torch.optim.SGD(module.parameters(), lr=RATE)
    before = weights(module)
    treatment = treat(module, "vanilla", "last:1")
    optimizer.step()  # with gradients of an earlier step
    assert not module[0][0].weight.requires_grad
    assert torch.equal(module[0][0].weight, before["0.0.weight"])
    assert all(each.requires_grad for each in treatment.merge().parameters())


IN_TRAINING = pytest.mark.parametrize(
    ("method", "options"),
    [
        ("asi", FULL),
        ("svd", FULL),
        ("lbp_wht", {"patch": 2, "order": 3}),
        ("saved", {"bits": 8}),
        ("saved_bf16", {}),
        ("lean", {}),
        ("fewbit", {"bits": 4}),
        ("microbatch", {"slices": 2}),
    ],
)


@IN_TRAINING
def test_training_in_evaluation_mode_is_refused_before_a_step(method, options):
    original = treated(method, **options)
    copies = copy.deepcopy(original), pickle.loads(pickle.dumps(original))
    for treatment in (original, *copies):
        module = treatment.module.eval()  # as networks of transformers come
        optimizer = torch.optim.SGD(module.parameters(), lr=RATE)
        before = weights(module)
        with pytest.raises(Refusal, match=r"has no effect: call train\(\) on the network"):
            train(module, optimizer)
        assert unchanged(module, before)
        treatment.merge()
        train(module, optimizer)


@IN_TRAINING
def test_evaluation_with_gradients_before_training_is_not_refused(method, options):
    if method == "lbp_wht":
        pytest.skip("this network has no grid")
    treatment = treated(method, **options)
    module, (batch, *_) = treatment.module, batches()
    optimizer = treatment.optimizer(lr=RATE)
    optimizer.step()
    module.eval()
    loss(module, batch).backward()  # a map of the inputs that matter
    module.zero_grad()
    module.train()
    treatment.backward(batch)
    optimizer.step()


def test_a_copy_of_which_a_layer_is_called_in_training_mode_has_an_effect():
    original = treated("asi", **FULL)
    train(original.module, original.optimizer(lr=RATE))
    module = copy.deepcopy(original.module)
    module[0].eval()
    train(module, torch.optim.SGD(module.parameters(), lr=RATE))


def test_a_loop_that_calls_only_parts_of_the_network_is_refused():
    treatment = treated("lean")
    module = treatment.module
    optimizer = treatment.optimizer(lr=RATE)
    module[2](module[1](module[0](batches()[0][0]))).sum().backward()
    with pytest.raises(Refusal, match="call the network itself, not only parts of it"):
        optimizer.step()
    treatment = treated("asi", **FULL)  # its layers do the work
    module = treatment.module
    module[2](module[1](module[0](batches()[0][0]))).sum().backward()
    treatment.optimizer(lr=RATE).step()


def test_frozen_weights_train_their_biases_in_evaluation_mode():
    treatment = treated("asi", **FULL)
    module = treatment.module.eval()
    for parameter in module.parameters():
        parameter.requires_grad_(parameter.ndim == 1)
    train(module, treatment.optimizer(lr=RATE))
