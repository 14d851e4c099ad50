"""What a loop does after `merge`, with a second `treat`, and with layers that it changes itself."""

import copy

import pytest
import torch
from torch import nn
from torch.nn.utils import prune

from ondevice_bench.errors import Refusal
from ondevice_bench.methods.treatment import treat
from tests.methods.loops import EXACT, FULL, RATE, network, same, train, treated


def test_a_layer_that_is_pruned_after_treat_is_exact_and_merge_says_what_to_do():
    def pruned(module, optimizer):
        prune.l1_unstructured(module[2], "weight", 0.5)
        train(module, optimizer)

    module = network()
    treatment = treated("asi", module, **FULL)
    prune.l1_unstructured(module[2], "weight", 0.5)
    train(module, treatment.optimizer(lr=RATE))
    expected = network()
    prune.l1_unstructured(expected[2], "weight", 0.5)
    train(expected, torch.optim.SGD(expected.parameters(), lr=RATE))
    with pytest.raises(Refusal, match=r"^2: since treat\(\), other code makes its weight"):
        treatment.merge()
    for each in (module, expected):
        prune.remove(each[2], "weight")
    assert same(treatment.merge(), expected)


def test_a_part_of_a_replaced_layer_is_no_layer_of_a_second_method():
    module = treated("lora").module
    with pytest.raises(Refusal, match=r"0\.0\.base is a part of a layer that treat\(\) has repl"):
        treat(module, "asi", rank=2)


@EXACT
def test_a_network_is_treated_again_after_merge(method, options):
    module = network()
    for _ in range(2):
        treatment = treated(method, module, **options)
        train(module, treatment.optimizer(lr=RATE), 2)
        module = treatment.merge()
        assert treatment.merge() is module
    expected = network()
    for _ in range(2):
        train(expected, torch.optim.SGD(expected.parameters(), lr=RATE), 2)
    assert same(module, expected)


@pytest.mark.parametrize("method", ["bias_only", "update_in_backward", "galore", "asi", "lean"])
def test_a_merged_copy_is_a_plain_network(method):
    options = {"galore": {"rank": 2}, "asi": FULL}.get(method, {})
    treatment = treated(method, **options)
    train(treatment.module, treatment.optimizer(lr=RATE), 1)
    plain = copy.deepcopy(treatment).merge()
    hooks = (plain._forward_hooks, plain._forward_pre_hooks, plain._state_dict_hooks)
    assert not any(hooks)
    train(plain, torch.optim.SGD(plain.parameters(), lr=RATE))
    train(treatment.module, treatment.optimizer(lr=RATE))


@EXACT
def test_a_layer_that_the_loop_puts_in_the_place_of_another_trains_plainly(method, options):
    head = nn.Linear(9, 3).double()
    treatment = treated(method, **options)
    treatment.module[2] = copy.deepcopy(head)
    train(treatment.module, treatment.optimizer(lr=RATE))
    expected = network()
    expected[2] = head
    train(expected, torch.optim.SGD(expected.parameters(), lr=RATE))
    assert same(treatment.merge(), expected)
