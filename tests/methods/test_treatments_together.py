"""Treatments that fail, end, or share a network, and loops whose steps hide that nothing happens."""

import copy

import pytest
import torch
import torch.nn.utils.prune
from torch import nn

from ondevice_bench.errors import Refusal
from ondevice_bench.methods.checkpoint import NoSuchPart
from ondevice_bench.methods.forward import surroundings
from ondevice_bench.methods.treatment import treat
from ondevice_bench.specs.layout import ModelLayout

FULL = {"fraction": 1.0}


@pytest.fixture
def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 6), nn.GELU(), nn.Linear(6, 3)).double()


@pytest.fixture
def inputs():
    torch.manual_seed(1)
    return torch.randn(5, 4).double()


def form(network):
    """The classes of all modules, and which parameters train."""
    kinds = [type(each) for each in network.modules()]
    return kinds, {name: each.requires_grad for name, each in network.named_parameters()}


def values(network):
    return torch.cat([each.detach().flatten() for each in network.parameters()])


@pytest.mark.parametrize(
    ("methods", "layers"),
    [
        ([("asi", FULL), ("checkpoint", {})], "all"),
        ([("asi", FULL), ("bias_only", {})], "all"),
        ([("gradient_filter", {"radius": 2})], "last:1"),
        ([("lora", {"rank": 1}), ("checkpoint", {})], "last:1"),
    ],
    ids=["no block", "weights for nobody", "no convolution", "frozen layers"],
)
def test_a_treatment_that_is_refused_leaves_the_network_as_it_was(network, methods, layers):
    before, twin = form(network), copy.deepcopy(network)
    with pytest.raises((Refusal, NoSuchPart)) as error:
        treat(network, methods, layers)
    assert "cut already" not in str(error.value)
    assert form(network) == before
    assert torch.equal(values(network), values(twin))


@pytest.mark.parametrize(("method", "taken"), [("lora", "up"), ("wsi", "left"), ("asi", "scheme")])
def test_a_layer_that_is_refused_after_it_was_made_stays_as_it_was(network, inputs, method, taken):
    options = {"rank": 1} if method == "lora" else FULL
    network[2].register_buffer(taken, torch.zeros(1))
    network[2].bias.requires_grad_(False)
    before = form(network)
    with pytest.raises(Refusal, match=f"2: the method needs the name '{taken}' for itself"):
        treat(network, method, **options)
    assert form(network) == before
    optimizer = torch.optim.SGD(network[2:].parameters(), lr=0.1)
    network(inputs).sum().backward()
    optimizer.step()


class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 4, 1), nn.LayerNorm(4)
        self.attn, self.head = nn.Sequential(nn.Linear(4, 4)), nn.Linear(4, 2)

    def forward(self, x):
        return self.head(self.attn(self.norm(self.conv(x).mean((2, 3)))))


@pytest.mark.parametrize("is_refused", [True, False])
@pytest.mark.parametrize("method", ["checkpoint", "bias_only"])
def test_the_end_or_refusal_of_a_treatment_keeps_what_surrounds_modules_of_another(
    method, is_refused
):
    network = Attention()
    layout = ModelLayout(head="head", attention="attn.*")
    options = {"scope": "attention"} if method == "checkpoint" else {}
    one = treat(network, method, layout=layout, **options)
    before = [surroundings(each) for each in network.modules()]
    assert sum(map(bool, before)) == (2 if method == "checkpoint" else 1)
    if is_refused:
        with pytest.raises(NoSuchPart):
            treat(network, [(method, options), ("checkpoint", {"scope": "blocks"})], layout=layout)
    else:
        treat(network, method, layout=layout, **options).merge()
    assert [surroundings(each) for each in network.modules()] == before
    one.merge()
    assert not any(surroundings(each) for each in network.modules())


def test_a_refusal_says_so_if_weights_are_cut_already(network):
    with pytest.raises(NoSuchPart, match="weights were cut already: make the network again"):
        treat(network, [("wsi", {"fraction": 0.5}), ("checkpoint", {})])
    assert [type(each) for each in network] == [nn.Linear, nn.GELU, nn.Linear]


def test_the_end_of_one_treatment_leaves_the_other(network, inputs):
    one, other = treat(network, "lean"), treat(network, "saved", bits=2)
    one.merge()
    network.eval()
    optimizer = other.optimizer(lr=0.1)
    network(inputs).sum().backward()
    with pytest.raises(Refusal, match="SavedBits: the network trains"):
        optimizer.step()
    network.train()
    loss = network(torch.cat([inputs] * 300)).sum()
    assert list(other.packed_tensors())
    loss.backward()
    other.merge()
    network.eval()
    network(inputs).sum().backward()
    optimizer.step()  # plain training again


def test_two_treatments_that_pack_are_refused(network):
    treat(network, "saved_bf16")
    before = form(network)
    with pytest.raises(Refusal, match="packs what this network saves already"):
        treat(network, "saved", bits=2)
    assert form(network) == before


@pytest.mark.parametrize(
    ("methods", "layers"),
    [([("asi", FULL), ("lean", {})], "last:1"), ([("bias_only", {}), ("lean", {})], "all")],
)
@pytest.mark.parametrize(
    "change",
    [
        nn.utils.parametrizations.weight_norm,
        lambda layer: nn.utils.prune.random_unstructured(layer, "weight", 0.5),
    ],
)
def test_a_merge_that_is_refused_changes_nothing(network, methods, layers, change):
    treatment = treat(network, methods, layers)
    change(network[0])
    before = form(network)
    with pytest.raises(Refusal, match="take this away before merge"):
        treatment.merge()
    assert form(network) == before


def test_a_layer_that_other_code_takes_away_is_no_obstacle_to_merge(network, inputs):
    treatment = treat(network, "bias_only")
    network[0] = nn.Identity()
    network[2] = nn.Linear(4, 3).double()
    assert all(each.requires_grad for each in treatment.merge().parameters())
    network(inputs)


@pytest.mark.parametrize("method", ["asi", "saved_bf16", "lean"])
@pytest.mark.parametrize("kind", [torch.optim.SGD, torch.optim.LBFGS])
def test_a_closure_does_not_hide_that_the_method_has_no_effect(network, inputs, method, kind):
    treat(network, method, **(FULL if method == "asi" else {}))
    optimizer = kind(network.parameters(), lr=0.1)
    network.eval()
    before = values(network)

    def closure():
        optimizer.zero_grad()
        loss = network(inputs).square().sum()
        loss.backward()
        return loss

    for step in (lambda: optimizer.step(closure), lambda: optimizer.step(closure=closure)):
        with pytest.raises(Refusal, match=r"call train\(\) on the network"):
            step()
    assert torch.equal(values(network), before)
    network.train()
    optimizer.step(closure)
    assert not torch.equal(values(network), before)


def test_updates_in_backward_do_not_hide_that_the_method_has_no_effect(network, inputs):
    treatment = treat(network, [("asi", FULL), ("update_in_backward", {})])
    treatment.optimizer(lr=0.1)
    weight = network[0].weight.detach().clone()
    network.eval()
    with pytest.raises(Refusal, match=r"call train\(\) on the network"):
        network(inputs).square().sum().backward()
    assert torch.equal(network[0].weight, weight)
