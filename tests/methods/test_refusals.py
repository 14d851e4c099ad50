"""Layers that a method leaves alone, because it would lose something of theirs."""

import types

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations, prune, spectral_norm, weight_norm
from torch.testing._internal.two_tensor import TwoTensor

from ondevice_bench.errors import Refusal
from ondevice_bench.methods import treat
from ondevice_bench.specs.layout import ModelLayout

METHODS = {
    "svd": {"fraction": 1.0},
    "hosvd": {"fraction": 1.0},
    "asi": {"fraction": 1.0},
    "wsi": {"fraction": 1.0},
    "wasi": {"fraction": 1.0},
    "lora": {"rank": 1, "alpha": 1.0},
    "lora_fa": {"rank": 1, "alpha": 1.0},
    "wsi_svd": {"fraction": 1.0},
}
NO_PARAMETER = "has a weight that is not a parameter (pruning, weight_norm, spectral_norm or other "
PARAMETRIZATION = "has a parametrization, which makes its weight or bias from other parameters"


def pruned(layer):
    return prune.l1_unstructured(layer, "weight", 0.5)


def pruned_bias(layer):
    return prune.l1_unstructured(layer, "bias", 0.5)


def computed(layer):
    weight = layer.weight
    del layer.weight
    layer.weight = 2 * weight
    return layer


def of_two(layer):
    layer.weight = nn.Parameter(TwoTensor(layer.weight.detach(), layer.weight.detach()))
    return layer


def patched(layer):
    layer.forward = lambda x: 2 * x
    return layer


def hooked(layer):
    layer.register_backward_hook(lambda *_: None)
    return layer


def treated(layer, method):
    return treat(nn.Sequential(layer, nn.Linear(4, 4)), method, **METHODS[method])


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    ("make", "says"),
    [
        (pruned, NO_PARAMETER),
        (weight_norm, NO_PARAMETER),
        (spectral_norm, NO_PARAMETER),
        (computed, NO_PARAMETER),
        (pruned_bias, "has a bias that is not a parameter"),
        (parametrizations.weight_norm, PARAMETRIZATION),
        (parametrizations.orthogonal, PARAMETRIZATION),
        (of_two, "has a weight of the class TwoTensor, which may compute another way"),
        (patched, "has a `forward` of its own, which may compute something else"),
        (hooked, "has a hook of `register_backward_hook`: use `register_full_backward_hook`"),
        (lambda layer: layer.to(torch.complex64), "has a weight of the type torch.complex64; only"),
        (lambda _: nn.LazyLinear(4), "has no values yet: send a batch through the network first"),
    ],
)
@pytest.mark.filterwarnings("ignore")  # torch deprecates old weight_norm
def test_a_layer_whose_weight_or_output_is_made_in_another_way_stays_as_it_is(make, says, method):
    layer = make(nn.Linear(4, 4))
    treatment = treated(layer, method)
    assert treatment.module[0] is layer
    assert [report.name for report in treatment.report()] == ["1"]
    assert treatment.refusals["0"].startswith(says)


@pytest.mark.parametrize("method", ["wsi", "wasi", "lora", "lora_fa", "wsi_svd"])
@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda weight: weight.requires_grad_(False), "is frozen"),
        (lambda weight: weight.register_hook(lambda gradient: gradient / 2), "has a hook on its w"),
        (lambda weight: weight.register_post_accumulate_grad_hook(print), "has a hook on its w"),
    ],
)
def test_a_weight_that_is_frozen_or_has_a_hook_is_never_replaced(change, says, method):
    layer = nn.Linear(4, 4)
    change(layer.weight)
    treatment = treated(layer, method)
    assert treatment.module[0] is layer
    assert treatment.refusals["0"].startswith(says)
    kept = treated(layer, "asi")
    assert kept.refusals == {}
    assert kept.module[0].weight is layer.weight


def test_a_network_of_such_layers_alone_is_refused_with_the_reason():
    model = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4)).requires_grad_(False)
    with pytest.raises(Refusal, match=r"^Lora applies to none .*: 0 is frozen.*; 1 is frozen"):
        treat(model, "lora", rank=1, alpha=1.0)
    assert type(model[0]) is nn.Linear


@pytest.mark.parametrize("method", METHODS)
def test_after_merge_the_same_parameters_train_as_before(method):
    model = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 4))
    model[0].requires_grad_(False)
    model[1].bias.requires_grad_(False)
    before = {name: parameter.requires_grad for name, parameter in model.named_parameters()}
    merged = treat(model, method, **METHODS[method]).merge()
    assert {name: p.requires_grad for name, p in merged.named_parameters()} == before


def test_a_layer_that_got_its_own_forward_back_is_plain():
    layer = nn.Linear(4, 4)
    layer.forward = types.MethodType(nn.Linear.forward, layer)
    assert treated(layer, "asi").refusals == {}


@pytest.mark.filterwarnings("ignore")  # torch deprecates its quantized layers
def test_weights_that_are_quantized_or_have_no_values_are_named():
    layers = (
        torch.ao.nn.quantized.dynamic.Linear(4, 4),
        nn.LazyConv1d(4, 3),
        nn.LazyBatchNorm1d(),
        nn.Linear(4, 4),
    )
    refusals = treat(nn.Sequential(*layers), "asi", rank=1).refusals
    assert list(refusals) == ["0", "1"]
    assert refusals["0"].startswith("is a Linear of torch.ao.nn.quantized")
    assert refusals["1"].startswith("is a LazyConv1d")


@pytest.mark.parametrize(
    ("method", "options", "says"),
    [
        ("checkpoint", {}, "checkpoint: 0: weight"),
        ("saved", {"bits": 2}, "SavedBits: 0.weight"),
        ("bias_only", {}, "bias_only: 0.weight"),
        ("update_in_backward", {}, "update_in_backward: 0.weight"),
        ("lean", {}, None),
    ],
)
@pytest.mark.filterwarnings("ignore")  # torch says that lazy modules are new
def test_a_network_without_values_is_refused_where_the_method_needs_them(method, options, says):
    network = nn.Sequential(nn.LazyLinear(4), nn.ReLU(), nn.Linear(4, 2))
    layout = ModelLayout(blocks="0", head="2")
    if says is not None:
        with pytest.raises(Refusal, match=f"^{says} has no values yet: send a batch through"):
            treat(network, method, layout=layout, **options)
    network(torch.randn(2, 3))
    treat(network, method, layout=layout, **options)
