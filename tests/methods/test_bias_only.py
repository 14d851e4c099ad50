"""Only biases and the head train: against plain training in which the rest is frozen by hand."""

import copy

import pytest
import torch
from hypothesis import given, settings
from torch import nn

from ondevice_bench.errors import Refusal
from ondevice_bench.measure.activations import saved_bytes
from ondevice_bench.methods.frozen_weight import convolve_frozen
from ondevice_bench.methods.treatment import treat
from ondevice_bench.specs.layout import ModelLayout
from tests.measure.test_activations import SumStep
from tests.methods.conftest import conv_cases, difference, randn

LAYOUT = ModelLayout(head="head")
SHIFTS = {"conv.bias", "norm.bias", "group.bias", "fc.bias", "layer.bias"}
HEAD = {"head.weight", "head.bias"}


class Network(nn.Module):
    """Convolutions, linears, and three kinds of normalisation."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.conv = nn.Conv2d(3, 4, 3, padding=1)
        self.norm = nn.BatchNorm2d(4)
        self.down = nn.Conv2d(4, 6, 3, 2, bias=False)
        self.group = nn.GroupNorm(2, 6)
        self.fc = nn.Linear(6, 5)
        self.layer = nn.LayerNorm(5)
        self.head = nn.Linear(5, 3)
        self.double()
        for parameter in self.parameters():
            nn.init.normal_(parameter)
        self.norm.running_mean.normal_()
        self.norm.running_var.uniform_(0.5, 2)

    def forward(self, x):
        x = self.group(self.down(self.norm(self.conv(x)).relu()))
        return self.head(self.layer(self.fc(x.mean((2, 3))).tanh()))


def by_hand(network):
    """The same network, frozen with torch's own means."""
    network.requires_grad_(False)
    for name, parameter in network.named_parameters():
        parameter.requires_grad_(name in SHIFTS | HEAD)
    network.train()
    network.norm.eval()
    return network


def trained(network):
    return {name for name, parameter in network.named_parameters() if parameter.requires_grad}


def step(network, x):
    x = x.clone().requires_grad_()
    network.zero_grad()
    y = network(x)
    y.square().sum().backward()
    gradients = {n: p.grad for n, p in network.named_parameters() if p.grad is not None}
    return y.detach(), x.grad, gradients


def test_a_step_is_plain_training_of_biases_shifts_and_the_head():
    plain, ours, x = by_hand(Network()), Network(), randn(4, 3, 8, 8)
    treat(ours, "bias_only", layout=LAYOUT)
    assert trained(ours) == SHIFTS | HEAD
    for _ in range(3):
        ours.train()  # as a loop does before each epoch
        (y, dx, found), (expected, exact, plainly) = step(ours, x), step(plain, x)
        assert difference(y, expected) <= 1e-12
        assert difference(dx, exact) <= 1e-12
        assert found.keys() == plainly.keys() == SHIFTS | HEAD
        assert all(difference(found[name], plainly[name]) <= 1e-12 for name in plainly)
        for network in (plain, ours):
            with torch.no_grad():
                for parameter in network.parameters():
                    if parameter.grad is not None:
                        parameter.sub_(0.01 * parameter.grad)
    for (name, buffer), (_, other) in zip(plain.named_buffers(), ours.named_buffers(), strict=True):
        assert torch.equal(buffer, other), name
    ours.eval()
    with torch.no_grad():
        assert difference(ours(x), plain.eval()(x)) <= 1e-12


def test_an_auxiliary_classifier_trains_as_the_head_does():
    network = Network()
    network.left_out = None
    others = "fc|down|left_out.linear"
    treat(network, "bias_only", layout=ModelLayout(head="head", auxiliary=others))
    assert trained(network) == SHIFTS | HEAD | {"fc.weight", "down.weight"}


def test_no_input_of_a_linear_convolution_or_batch_norm_is_kept():
    torch.manual_seed(0)
    network = nn.Sequential(
        *(nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU()),
        *(nn.Conv2d(4, 6, 3, 2), nn.BatchNorm2d(6), nn.ReLU(), nn.Flatten()),
        *(nn.Linear(54, 5), nn.ReLU(), nn.Linear(5, 2)),
    )
    treat(network, "bias_only")
    # what the ReLUs keep: the last of it is the input of the head
    relus = 2 * (4 * 8 * 8 + 6 * 3 * 3 + 5)
    scales = 4 + 6
    assert saved_bytes(SumStep(network, torch.randn(2, 3, 8, 8))) == 4 * (relus + scales)


def test_merge_lets_all_train_that_did_before():
    network = Network()
    network.down.requires_grad_(False)
    kinds, names = [type(module) for module in network.modules()], list(network.state_dict())
    before = trained(network)
    treatment = treat(network, "bias_only", layout=LAYOUT)
    assert list(network.state_dict()) == names
    twin = copy.deepcopy(treatment)
    for each in (treatment, twin):
        merged = each.merge()
        assert trained(merged) == before
        assert [type(module) for module in merged.modules()] == kinds
    x = randn(4, 3, 8, 8)
    statistics = network.norm.running_mean.clone()
    network.train()(x)
    assert not torch.equal(network.norm.running_mean, statistics)


def test_a_gradient_of_an_earlier_step_is_not_applied_again():
    network = Network()
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
    step(network, randn(2, 3, 8, 8))
    treat(network, "bias_only", layout=LAYOUT)
    weight = network.conv.weight.clone()
    optimizer.step()
    assert torch.equal(network.conv.weight, weight)


def test_statistics_are_found_anew_where_torch_is_asked_to():
    plain, ours, data = by_hand(Network()), Network(), [randn(4, 3, 8, 8), randn(4, 3, 8, 8)]
    treat(ours, "bias_only", layout=LAYOUT)
    for each in (plain, ours):
        torch.optim.swa_utils.update_bn(data, each)
    assert torch.equal(ours.norm.running_mean, plain.norm.running_mean)
    assert torch.equal(ours.norm.running_var, plain.norm.running_var)


@pytest.mark.parametrize("kind", [nn.BatchNorm1d, nn.BatchNorm3d])
@pytest.mark.parametrize("affine", [True, False])
def test_every_batch_norm_computes_as_in_evaluation(kind, affine):
    class Own(kind):
        """Another class may compute something else around it."""

    x = randn(4, 3, 5) if kind is nn.BatchNorm1d else randn(4, 3, 2, 2, 2)
    for each in (kind, Own):
        network = nn.Sequential(each(3, affine=affine), nn.Flatten(), nn.Linear(x[0].numel(), 2))
        network.double()[0].running_var.uniform_(0.5, 2)
        plain = copy.deepcopy(network).eval()
        treat(network, "bias_only")
        found, expected = step(network, x), step(plain, x)
        assert difference(found[1], expected[1]) <= 1e-12
        for name, gradient in found[2].items():
            assert difference(gradient, expected[2][name]) <= 1e-12


def test_names_that_hold_a_bias():
    network = nn.Sequential(nn.GRU(3, 4), nn.MultiheadAttention(4, 2, add_bias_kv=True))
    network.add_module("table", nn.ParameterDict({"position_bias_table": torch.ones(3, 3)}))
    network.add_module("head", nn.Linear(4, 2))
    nn.utils.parametrizations.weight_norm(network.head, "weight")
    treat(network, "bias_only", layout=LAYOUT)
    assert trained(network) == {
        "0.bias_ih_l0",
        "0.bias_hh_l0",
        "1.in_proj_bias",
        "1.out_proj.bias",
        "head.bias",
        "head.parametrizations.weight.original0",
        "head.parametrizations.weight.original1",
    }


@pytest.mark.parametrize(
    ("network", "layout", "says"),
    [
        (nn.Sequential(nn.Conv2d(3, 4, 1)), None, "this network declares none: name it"),
        (nn.Sequential(nn.Linear(3, 4)), ModelLayout(head="fc"), "has no module 'fc'"),
        (
            nn.Sequential(nn.Linear(3, 4, bias=False), nn.Linear(4, 4)).requires_grad_(False),
            None,
            "no bias and no head that could train",
        ),
    ],
)
def test_a_network_without_a_head_is_refused_before_anything_changes(network, layout, says):
    before = trained(network)
    with pytest.raises(Refusal, match=says):
        treat(network, "bias_only", layout=layout)
    assert trained(network) == before


def test_a_method_that_changes_the_weights_is_refused_beside_it():
    parts = [("asi", {"rank": 2}), ("bias_only", {})]
    with pytest.raises(Refusal, match=r"the weights that the other method is for \(0\)"):
        treat(nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 2)), parts)


@pytest.mark.parametrize(
    "other", [("checkpoint", {}), ("microbatch", {"slices": 2}), ("saved_bf16", {})]
)
def test_it_composes_with_methods_that_replace_no_layers(other):
    layout = ModelLayout(head="1", blocks="0.*")
    x = randn(4, 3, 8, 8)
    found = []
    for parts in ([("bias_only", {})], [("bias_only", {}), other], [other, ("bias_only", {})]):
        body = Network()
        body.head = nn.Identity()
        network = nn.Sequential(nn.Sequential(body), nn.Linear(5, 3).double())
        nn.init.ones_(network[1].weight)
        treatment = treat(network, parts, layout=layout)
        treatment.backward(x, lambda model, part: model(part).square().mean())
        found.append({n: p.grad for n, p in network.named_parameters() if p.grad is not None})
    bound = 0.05 if other[0] == "saved_bf16" else 1e-12
    for each in found[1:]:
        assert each.keys() == found[0].keys()
        assert all(difference(each[name], found[0][name]) <= bound for name in each)


@given(conv_cases())
@settings(max_examples=40, deadline=None)
def test_a_frozen_convolution_of_any_geometry_is_that_of_torch(case):
    layer, x = case
    layer.weight.requires_grad_(False)
    inputs = (x.clone().requires_grad_(), x.clone().requires_grad_())
    ys = (layer(inputs[0]), convolve_frozen(layer, inputs[1], layer.weight, layer.bias))
    assert difference(ys[1], ys[0]) <= 1e-12
    assert [t.shape for t in ys[1].grad_fn.saved_tensors] == [layer.weight.shape]
    wanted = [layer.bias] if layer.bias is not None else []
    dy = randn(*ys[0].shape, seed=1)
    plain, ours = (
        torch.autograd.grad(y, [x, *wanted], dy) for y, x in zip(ys, inputs, strict=True)
    )
    for expected, found in zip(plain, ours, strict=True):
        assert (found - expected).abs().max() <= 1e-12 * max(1, expected.abs().max())


def test_a_frozen_convolution_has_a_second_derivative():
    layer = nn.Conv2d(2, 3, 3, 2, 1).double()
    layer.weight.requires_grad_(False)
    x = randn(2, 2, 5, 5).requires_grad_()

    def run(x, bias):
        return convolve_frozen(layer, x, layer.weight, bias).square()

    assert torch.autograd.gradcheck(run, (x, layer.bias))
    assert torch.autograd.gradgradcheck(run, (x, layer.bias))


def test_a_convolution_that_pads_otherwise_later_is_plain_training():
    plain, ours, x = by_hand(Network()), Network(), randn(4, 3, 8, 8)
    treat(ours, "bias_only", layout=LAYOUT)
    for network in (plain, ours):
        network.conv.padding_mode = "circular"
    (y, dx, found), (expected, exact, plainly) = step(ours, x), step(plain, x)
    assert difference(y, expected) <= 1e-12
    assert difference(dx, exact) <= 1e-12
    assert all(difference(found[name], plainly[name]) <= 1e-12 for name in plainly)
