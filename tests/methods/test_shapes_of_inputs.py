"""Inputs of every shape, order of memory and kind of tensor."""

import copy

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from ondevice_bench.errors import Refusal
from ondevice_bench.methods.treatment import treat
from ondevice_bench.specs.layout import ModelLayout
from tests.methods.loops import AT_FULL_RANK, EXACT, FULL, RATE, same


@EXACT
@pytest.mark.parametrize(("inputs", "outputs"), [(1, 4), (4, 1), (1, 1), (4, 5)])
@pytest.mark.parametrize("examples", [1, 3])
def test_layers_and_batches_of_one_are_exact(method, options, inputs, outputs, examples):
    torch.manual_seed(0)
    plain = nn.Sequential(nn.Linear(inputs, 6), nn.Tanh(), nn.Linear(6, outputs)).double()
    treatment = treat(copy.deepcopy(plain), method, **options)
    module, optimizer = treatment.module, treatment.optimizer(lr=RATE)
    other = torch.optim.SGD(plain.parameters(), lr=RATE)
    for _ in range(3):
        x = torch.randn(examples, inputs, dtype=torch.float64)
        for each, stepping in ((module, optimizer), (plain, other)):
            each(x).square().mean().backward()
            stepping.step()
            stepping.zero_grad()
    assert same(treatment.merge(), plain, 1e-11)


@pytest.mark.parametrize(
    ("method", "options"),
    [
        *AT_FULL_RANK,
        ("gradient_filter", {"radius": 2}),
        ("lora_fa", {}),
        ("bias_only", {}),
        ("fewbit", {"bits": 2}),
        ("checkpoint", {}),
        ("saved_bf16", {}),
    ],
)
def test_images_in_another_order_of_memory_and_transposed_gradients_change_nothing(method, options):
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.second = nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(4, 5, 3, stride=2)
            self.norm = nn.BatchNorm2d(4)
            self.head = nn.Linear(5, 2)

        def forward(self, x):
            x = self.second(F.gelu(F.max_pool2d(F.relu(self.norm(self.first(x))), 2)))
            return self.head(x.flatten(2).transpose(1, 2)).transpose(1, 2)

    torch.manual_seed(0)
    networks = [Net().double()]
    networks.append(copy.deepcopy(networks[0]).to(memory_format=torch.channels_last))
    x = torch.randn(4, 3, 10, 12, dtype=torch.float64)
    layout, merged = ModelLayout(blocks="first", head="head"), []
    for module, order in zip(networks, (torch.contiguous_format, torch.channels_last), strict=True):
        treatment = treat(module, method, layout=layout, **options)
        optimizer = treatment.optimizer(lr=RATE)
        for _ in range(2):
            y = module(x.contiguous(memory_format=order))
            (y * torch.arange(2)[:, None]).square().mean().backward()
            optimizer.step()
            optimizer.zero_grad()
        merged.append(treatment.merge())
    assert same(*merged, 1e-10)


def test_lean_computes_a_relu_in_place_of_a_part_of_a_tensor():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(6, 6)

        def forward(self, x):
            y = self.linear(x)
            y[:, :3].relu_()
            return y

    module = Net()
    twin = copy.deepcopy(module)
    treat(module, "lean")
    x = torch.randn(8, 6)
    for each in (module, twin):
        each(x).square().sum().backward()
    assert torch.equal(module.linear.weight.grad, twin.linear.weight.grad)


@pytest.mark.parametrize("method", ["asi", "hosvd", "wasi"])
def test_inputs_with_other_dimensions_are_refused_in_one_sentence(method):
    layer = treat(nn.Linear(6, 4), method, rank=2).module
    layer(torch.randn(8, 6)).sum().backward()
    layer.zero_grad()
    with pytest.raises(Refusal, match=r"^the layer: the input has 3 modes with a rank, but"):
        layer(torch.randn(8, 5, 6))


@pytest.mark.parametrize("method", ["asi", "wsi"])
def test_a_nested_tensor_is_refused_in_training_alone(method):
    layer = treat(nn.Linear(6, 4), method, rank=2).module
    texts = torch.nested.nested_tensor([torch.randn(3, 6), torch.randn(5, 6)], layout=torch.jagged)
    with torch.no_grad():
        assert layer(texts).values().shape == (8, 4)
    with pytest.raises(Refusal, match=r"^the layer: the input is a nested or sparse tensor"):
        layer(texts)


def test_svd_takes_inputs_of_any_dimensions():
    layer = treat(nn.Linear(6, 4), "svd", rank=2).module
    layer(torch.randn(8, 6)).sum().backward()
    layer(torch.randn(8, 5, 6)).sum().backward()


@pytest.mark.parametrize("method", ["svd", "hosvd", "asi"])
def test_a_share_of_the_largest_rank_follows_a_larger_input(method):
    treatment = treat(nn.Linear(6, 4).double(), method, **FULL)
    layer, plain = treatment.module, nn.Linear(6, 4).double()
    plain.load_state_dict(layer.state_dict())
    for shape in ((2, 3, 6), (8, 10, 6), (4, 12, 6)):
        x = torch.randn(shape, dtype=torch.float64)
        for each in (layer, plain):
            each.zero_grad()
            each(x).square().sum().backward()
        assert torch.allclose(layer.weight.grad, plain.weight.grad, rtol=1e-10, atol=1e-10)


class Graph(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("edges", torch.eye(8).to_sparse())
        self.linear = nn.Linear(6, 3)

    def forward(self, x):
        return torch.sparse.mm(self.edges, self.linear(x))


def test_ranks_are_calibrated_in_a_network_with_a_sparse_buffer():
    module = Graph()
    assert treat(module, "asi", epsilon=1.0).calibrate(torch.randn(8, 6))["linear"].activation
    assert torch.equal(module.edges.to_dense(), torch.eye(8))


@pytest.mark.parametrize("method", ["saved", "saved_bf16"])
def test_a_sparse_tensor_that_is_saved_stays_as_it_is(method):
    module = Graph()
    twin = copy.deepcopy(module)
    treat(module, method, **({"bits": 8} if method == "saved" else {}))
    x = torch.ones(8, 6)
    for each in (module, twin):
        each(x).sum().backward()
    assert torch.equal(module.linear.bias.grad, twin.linear.bias.grad)
