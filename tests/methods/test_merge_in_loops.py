"""What a loop does after `merge`, with a second `treat`, and with layers that it changes itself."""

import copy
import pickle

import pytest
import torch
from torch import nn
from torch.nn.utils import prune

from ondevice_bench.errors import Refusal
from ondevice_bench.measure.backward_boundary import saved_bytes_at_boundaries
from ondevice_bench.methods.treatment import treat
from tests.methods.loops import EXACT, FACTORED, FULL, RATE, network, same, train, treated


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


def normalises(layer):
    """As SwAV does with its prototypes."""
    with torch.no_grad():
        layer.weight.copy_(nn.functional.normalize(layer.weight.data.clone(), dim=1))


WRITES = (
    normalises,
    lambda layer: layer.weight.data.clamp_(-0.1, 0.1),
    lambda layer: layer.weight.data.__setitem__(0, 0.0),
    lambda layer: nn.init.normal_(layer.weight),
    lambda layer: nn.init.xavier_uniform_(layer.weight),
    lambda layer: setattr(layer.weight, "data", torch.zeros(3, 9)),
    lambda layer: torch._foreach_mul_([layer.weight], 2.0),
    lambda layer: layer.weight.register_hook(print),
    lambda layer: layer.weight.grad,
)


@pytest.mark.parametrize("method", ["wsi", "wasi", "wsi_svd", "lora", "lora_fa"])
def test_a_write_into_a_weight_that_is_computed_for_reading_is_refused(method):
    layer = treated(method, **({"rank": 2} if "lora" in method else FULL)).module[2]
    for write in WRITES:
        with pytest.raises(Refusal, match=r"^2: the method trains other parameters in the place"):
            write(layer)


@FACTORED
def test_loops_that_look_for_layers_by_their_class_find_factored_ones(method):
    module = treated(method, **FULL).module
    layers = [each for each in module.modules() if isinstance(each, nn.Linear)]
    assert {p for each in layers for p in each.parameters()} == set(module.parameters())
    for change in (nn.Linear.reset_parameters, lambda each: each.weight.requires_grad_(False)):
        with pytest.raises(Refusal, match=r"`weight` cannot be written"):
            change(layers[0])
    assert treated("lean", module).merge() is module
    with pytest.raises(Refusal, match="is a layer of an earlier treat"):
        treated("asi", module, **FULL)


@pytest.mark.parametrize("method", ["wsi", "lora"])
def test_what_is_read_of_such_a_weight_is_an_ordinary_tensor(method):
    layer = treated(method, **({"rank": 2} if method == "lora" else FULL)).module[2]
    expected = network()[2].weight.detach()
    read = [layer.weight.detach(), layer.weight.data.clone(), copy.copy(layer.weight).detach()]
    read += [nn.Linear(9, 3).double().weight.data.copy_(layer.weight.data), layer.weight[:]]
    read += [torch.zeros(3, 9).double().add_(other=layer.weight).detach()]
    read += [pickle.loads(pickle.dumps(layer.weight.detach())), layer.weight * 1]
    for each in read:
        assert type(each) is torch.Tensor
        assert torch.allclose(each, expected, atol=1e-12)


def test_a_weight_that_code_has_read_is_no_obstacle_to_a_measurement():
    layer = treated("wsi", **FULL).module[2]
    with torch.no_grad():
        read = layer.weight
    x = torch.randn(8, 9, dtype=torch.float64)
    (saved,) = saved_bytes_at_boundaries(lambda: (layer(x) + x @ read.T).square().sum().backward())
    assert saved == 8 * 3 * 8  # the output


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
