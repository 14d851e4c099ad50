"""Methods by layer: against networks in which one layer is treated, formulas, and sums on paper."""

import copy

import pytest
import torch
from torch import nn

from ondevice_bench.errors import BadInput, Refusal
from ondevice_bench.measure.activations import saved_storages, total
from ondevice_bench.measure.flops import STEP
from ondevice_bench.measure.kept_by_layer import kept_by_layer
from ondevice_bench.measure.live import live_step
from ondevice_bench.methods.treatment import treat
from ondevice_bench.models.layers import NoSuchLayers
from ondevice_bench.specs.layout import ModelLayout
from tests.measure.test_activations import SumStep
from tests.methods.conftest import difference, randn
from tests.methods.test_layer_flops import counted_steps

LAYOUT = ModelLayout(head="head", counts="conv2d", mlp="fc*")


class Network(nn.Module):
    """Two convolutions with a batch-norm, and three linears."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.first = nn.Conv2d(3, 4, 3, padding=1)
        self.norm = nn.BatchNorm2d(4)
        self.conv = nn.Conv2d(4, 6, 3, 2)
        self.fc1 = nn.Linear(6, 8)
        self.fc2 = nn.Linear(8, 7)
        self.head = nn.Linear(7, 3)
        self.double()
        self.norm.eval()

    def forward(self, x):
        x = self.conv(self.norm(self.first(x)).relu())
        return self.head(self.fc2(self.fc1(x.mean((2, 3))).tanh()).relu())


METHODS = {
    "first": ("gradient_filter", {}),
    "conv": ("hosvd", {"rank": 2}),
    "fc1": ("svd", {"rank": 2}),
    "fc2": ("asi", {"rank": 3}),
}
MIX = {f"pattern:{name}": [method] for name, method in METHODS.items()}
X = randn(5, 3, 9, 9)


def gradients(network):
    network.zero_grad()
    network(X).square().sum().backward()
    return {n: p.grad for n, p in network.named_parameters() if p.grad is not None}


def test_each_gradient_is_that_of_the_network_in_which_its_layer_alone_is_treated():
    plain, ours = gradients(Network()), gradients(treat(Network(), MIX, layout=LAYOUT).module)
    assert ours.keys() == plain.keys()
    for name, (method, options) in METHODS.items():
        alone = treat(Network(), method, f"pattern:{name}", layout=LAYOUT, **options)
        plain[f"{name}.weight"] = gradients(alone.module)[f"{name}.weight"]
    assert all(difference(ours[name], plain[name]) <= 1e-12 for name in plain)


def test_two_ranks_of_one_method_are_two_truncated_svds():
    network = nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 7), nn.Tanh()).double()
    given, behind = {}, {}

    def see(name):
        def hook(_, inputs, y):
            given[name] = inputs[0].detach()
            y.register_hook(lambda dy: behind.update({name: dy}))

        return hook

    for name in "02":
        network[int(name)].register_forward_hook(see(name))
    treat(network, {"pattern: 0": [("svd", {"rank": 1})], "all": [("svd", {"rank": 3})]})
    network(randn(5, 6)).square().sum().backward()
    for name, rank in (("0", 1), ("2", 3)):
        u, s, v = torch.linalg.svd(given[name], full_matrices=False)
        kept = u[:, :rank] * s[:rank] @ v[:rank]
        assert difference(network[int(name)].weight.grad, behind[name].T @ kept) <= 1e-12


def methods_of(treatment):
    names = [report.name for report in treatment.report()]
    kinds = [type(method).__name__ for method in treatment.layer_methods()]
    return dict(zip(names, kinds, strict=True))


def test_the_first_choice_that_matches_a_layer_has_it():
    mix = {"conv": "lora", "pattern:fc*": [("svd", {"rank": 2})], "all": "lora_fa"}
    assert methods_of(treat(Network(), mix, layout=LAYOUT)) == {
        "first": "Lora",
        "conv": "Lora",
        "fc1": "Svd",
        "fc2": "Svd",
        "head": "LoraFa",
    }


def test_the_layers_of_the_treatment_bound_those_of_the_mix_and_freeze_the_others():
    treatment = treat(
        Network(), {"conv": "gradient_filter", "all": "lean"}, "last:1", layout=LAYOUT
    )
    assert methods_of(treatment) == {"conv": "GradientFilter"}
    frozen = {n for n, p in treatment.module.named_parameters() if not p.requires_grad}
    assert frozen == {"first.weight", "first.bias", "norm.weight", "norm.bias"}


def test_in_a_mix_a_choice_of_last_layers_freezes_nothing():
    treatment = treat(Network(), {"last: 1": "gradient_filter", "all": "lean"}, layout=LAYOUT)
    assert methods_of(treatment) == {"conv": "GradientFilter"}
    assert all(parameter.requires_grad for parameter in treatment.module.parameters())


def test_only_biases_train_where_no_other_method_is():
    mix = {"pattern:conv": [("svd", {"rank": 2})], "pattern:fc1": "vanilla"}
    treatment = treat(Network(), mix | {"all": [("lean", {}), ("bias_only", {})]}, layout=LAYOUT)
    ours = gradients(treatment.module)
    plain = gradients(treat(Network(), mix, layout=LAYOUT).module)
    assert ours.keys() == plain.keys() - {"first.weight", "norm.weight", "fc2.weight"}
    assert all(difference(ours[name], plain[name]) <= 1e-12 for name in ours)
    before, merged = Network().state_dict(), treatment.merge()
    assert all(parameter.requires_grad for parameter in merged.parameters())
    assert all(torch.equal(before[name], each) for name, each in merged.state_dict().items())
    assert {type(each).__name__ for each in merged.modules()} == {
        type(each).__name__ for each in Network().modules()
    }


def test_a_projected_gradient_beside_a_method_that_replaces_layers():
    galore = [("galore", {"rank": 2, "every": 1, "scale": 1.0})]
    mix = {"pattern:fc1": galore, "pattern:conv": [("svd", {"rank": 2})], "all": "bias_only"}
    ours = treat(Network(), mix, layout=LAYOUT)
    alone = treat(Network(), galore, "pattern:fc1", layout=LAYOUT)
    for treatment in (ours, alone):
        optimizer = treatment.optimizer(lr=0.1)
        treatment.module(X).square().sum().backward()
        optimizer.step()
    change, expected = (
        each.module.fc1.weight.detach() - Network().fc1.weight for each in (ours, alone)
    )
    assert torch.linalg.matrix_rank(change) == 2
    assert difference(change, expected) <= 1e-9
    assert torch.equal(ours.module.fc2.weight, Network().fc2.weight)


def test_a_file_that_is_loaded_after_a_calibration_is_no_update_by_the_loop():
    galore = [("galore", {"rank": 2, "every": 1, "scale": 1.0})]
    mix = {"pattern:fc1": galore, "pattern:conv": [("hosvd", {"budget_mib": 0.01})]}
    network = Network()
    treatment = treat(network, mix, layout=LAYOUT)
    treatment.calibrate((X, torch.zeros(len(X), dtype=torch.int64)))
    network.load_state_dict({name: 2 * each for name, each in Network().state_dict().items()})
    network(X).sum().backward()
    treatment.optimizer(lr=0.1).step()


def test_declared_bytes_are_those_of_hooks_and_of_the_allocator():
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Linear(10, 12), nn.ReLU(), nn.Linear(12, 16), nn.ReLU(), nn.Linear(16, 5)
    )
    mix = {"pattern:0": [("svd", {"rank": 2})], "pattern:2": [("hosvd", {"rank": 3})]}
    treatment = treat(network, mix | {"all": "lean"})
    step = SumStep(treatment.module, torch.randn(4, 6, 10))
    of_head, bits = 4 * 6 * 16 * 4, 4 * 6 * (12 + 16) // 8
    saved, live = saved_storages(step, treatment.module), live_step(step, treatment.module)
    declared = {report.name: report.stored_bytes for report in treatment.report()}
    assert declared == {
        "0": 2 * (4 + 6 * 10) * 4,
        "2": (3 * 3 * 3 + 3 * (4 + 6 + 12)) * 4,
    }
    assert total(saved) == live.activation_bytes == sum(declared.values()) + bits + of_head
    layers = {name: treatment.module.get_submodule(name) for name in declared}
    assert kept_by_layer(step, layers) == declared
    assert not treatment.only_replaces
    assert treat(copy.deepcopy(Network()), {"conv": "lora", "all": "vanilla"}).only_replaces


def test_the_sum_of_the_declared_flops_is_what_is_called():
    network = nn.Sequential(nn.Linear(10, 12), nn.ReLU(), nn.Linear(12, 16), nn.Linear(16, 5))
    mix = {"pattern:0": [("svd", {"rank": 2})], "pattern:2": [("wasi", {"rank": 3})]}
    treatment = treat(network, mix | {"all": [("lora", {"rank": 2}), ("lean", {})]})
    work = counted_steps(treatment, torch.randn(4, 6, 10), 1).of(*STEP)
    declared = [report.flops for report in treatment.report()]
    assert work.flops == sum(flops.training for flops in declared) > 0


def test_each_rule_chooses_the_ranks_that_it_chooses_alone():
    rules = {
        "first": ("hosvd", {"perplexity": 1e9}),
        "conv": ("hosvd", {"budget_mib": 0.01}),
        "fc1": ("svd", {"epsilon": 0.6}),
        "fc2": ("wasi", {"fraction": 0.5}),
        "head": ("wsi", {"rank": 2}),
    }
    labels = torch.arange(5) % 3
    alone = {}
    for name, (method, options) in rules.items():
        treatment = treat(Network(), method, f"pattern:{name}", layout=LAYOUT, **options)
        alone |= treatment.calibrate((X, labels))
    mix = {f"pattern:{name}": [each] for name, each in rules.items()}
    treatment = treat(Network(), mix, layout=LAYOUT)
    # the truncated weights before the head are those of the mix: its ranks by number stay
    assert treatment.calibrate((X, labels)) == alone
    assert not list(treatment.gradients())


@pytest.mark.parametrize(
    ("mix", "says"),
    [
        ({}, "a mix maps layers to methods, got none"),
        ({"all": "lean"}, "a mix with `all` alone gives no layers to a method of their own"),
        ({"cnv": "lora"}, "must be all, mlp, .*, got 'cnv'; did you mean 'conv'"),
        ({"last:0": "lora"}, "last must be an integer of at least 1, got 0"),
        ({"last:1": "lora", "last: 1": "svd"}, "'last:1' appears twice"),
        ({"all": "lora", "conv": "lora"}, "'all' has all layers that are left: put it last"),
        ({"conv": "lroa"}, "unknown method 'lroa'; did you mean 'lora'"),
        ({"conv": "lean"}, "Lean works on the whole network: give it to `all`"),
        (
            {"conv": "lora", "all": [("galore", {}), ("bias_only", {})]},
            "BiasOnly freezes the layers that GaLore is for: give GaLore layers of its own",
        ),
        (
            {"conv": [("lora", {}), ("svd", {"rank": 1})]},
            "two methods that replace layers cannot be composed",
        ),
        (
            {"conv": "lora", "all": [("saved", {}), ("saved_bf16", {})]},
            "two methods that pack saved tensors cannot be composed",
        ),
        ({"pattern:fc3": "lora"}, "'pattern:fc3' matches no layer; near it: fc2, fc1"),
        (
            {"conv": "lora", "pattern:first": "lora"},
            "'pattern:first' matches no layer that is left",
        ),
    ],
)
def test_a_mix_that_cannot_be_is_refused_before_anything_changes(mix, says):
    network = Network()
    for parameter in network.parameters():
        parameter.requires_grad_(True)
    with pytest.raises((ValueError, BadInput), match=says):
        treat(network, mix, "last:2", layout=LAYOUT)
    assert {type(each) for each in network.modules()} == {type(e) for e in Network().modules()}
    assert all(parameter.requires_grad for parameter in network.parameters())


def test_options_beside_a_mix_are_refused():
    with pytest.raises(ValueError, match="rank: in a mix each method has options of its own"):
        treat(Network(), {"conv": "lora"}, rank=2)


def test_a_mix_that_finds_no_layer_is_a_refusal_so_that_a_suite_skips_the_cell():
    with pytest.raises(Refusal, match="matches no layer") as caught:
        treat(Network(), {"pattern:none": "lora"})
    assert isinstance(caught.value, NoSuchLayers)
