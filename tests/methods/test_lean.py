"""`lean` against plain training, bit by bit, and what it keeps against closed formulas."""

import contextlib
import copy

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.checkpoint import checkpoint

from ondevice_bench.measure.allocations import record_allocations
from ondevice_bench.methods.treatment import treat
from ondevice_bench.specs.layout import ModelLayout

FORMATS = [torch.contiguous_format, torch.channels_last]


class Everything(nn.Module):
    """Modules and functional calls, in place and not, of all functions that keep less."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.first, self.second = nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 8, 3, padding=1)
        self.norm, self.trained_norm = nn.BatchNorm2d(8), nn.BatchNorm2d(8)
        self.pool, self.drop, self.relu = nn.MaxPool2d(3, 2, 1), nn.Dropout(0.3), nn.ReLU(True)
        self.head = nn.Linear(8, 5)
        for norm in (self.norm, self.trained_norm):
            norm.running_mean.normal_()
            norm.running_var.uniform_(0.5, 2)
            nn.init.normal_(norm.weight)

    def train(self, mode=True):
        super().train(mode)
        self.norm.eval().requires_grad_(False)
        return self

    def forward(self, x):
        x = self.relu(self.norm(self.first(x)))  # the module is used again below
        x = F.relu6(self.trained_norm(self.second(self.pool(x))))
        x = F.leaky_relu(x - 1, 0.2) + torch.relu(x - 0.5) + (x * 1).relu_() + F.relu(x - 0.1)
        x = x + F.hardtanh(x.clone(), -0.3, 0.7, inplace=True) + self.relu(x - 2)
        x = F.max_pool2d(x, (2, 3), (1, 2), dilation=(1, 2), ceil_mode=True)
        return self.head(self.drop(x.mean((2, 3))))


def trained(network, x):
    """Output, input gradient and all others, after a seeded forward."""
    torch.manual_seed(3)
    x = x.clone().requires_grad_()
    y = network(x)
    y.square().sum().backward()
    gradients = [p.grad for p in network.parameters() if p.grad is not None]
    return [y.detach(), x.grad, *gradients, *network.buffers(), torch.rand(1)]


def assert_equal(found, expected):
    assert len(found) == len(expected)
    for a, b in zip(found, expected, strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize("order", FORMATS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_every_function_is_bit_equal_in_modules_and_in_calls(dtype, order):
    plain = Everything().to(dtype=dtype, memory_format=order).train()
    x = torch.randn(4, 3, 17, 19, dtype=dtype).to(memory_format=order)
    network = copy.deepcopy(plain)
    treatment = treat(network, "lean")
    expected = trained(plain, x)
    assert_equal(trained(copy.deepcopy(network), x), expected)
    assert_equal(trained(network, x), expected)
    assert treatment.notes() == []
    with torch.no_grad():
        assert torch.equal(network.eval()(x), plain.eval()(x))


def kept(run, x):
    """Bytes that a call keeps: by hooks, and by the allocator."""
    resident = {id(x)}
    seen = {}

    def pack(tensor):
        storage = tensor.untyped_storage()
        if id(tensor) not in resident:
            seen[storage._cdata] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        y = run(x)
    del y
    with record_allocations() as allocations:
        y = run(x)
    return sum(seen.values()), allocations.net_bytes - y.untyped_storage().nbytes()


FUNCTIONS = {
    "relu": (nn.ReLU(), lambda x, y: -(-x.numel() // 8)),
    "relu6": (nn.ReLU6(), lambda x, y: -(-x.numel() // 8)),
    "leaky_relu": (nn.LeakyReLU(0.1), lambda x, y: -(-x.numel() // 8)),
    "dropout": (nn.Dropout(0.4), lambda x, y: -(-x.numel() // 8)),
    "max_pool": (nn.MaxPool2d(2), lambda x, y: y.numel()),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_what_is_kept_is_what_the_definition_says(name):
    function, size = FUNCTIONS[name]
    network = nn.Sequential(function)
    treat(network, "lean")
    x = torch.randn(3, 5, 7, 9, requires_grad=True)
    expected = size(x, network(x))
    assert kept(network, x) == (expected, expected)


def test_a_frozen_batch_norm_keeps_nothing_and_a_trained_one_is_left_alone():
    for frozen in (True, False):
        norm = nn.BatchNorm2d(5).eval().requires_grad_(not frozen)
        network = nn.Sequential(norm)
        treat(network, "lean")
        x = torch.randn(3, 5, 7, 9)
        y = nn.Parameter(x)
        resident = {t.untyped_storage()._cdata for t in (*norm.parameters(), *norm.buffers())}
        sizes = []

        def pack(tensor, resident=resident, sizes=sizes):
            if tensor.untyped_storage()._cdata not in resident:
                sizes.append(tensor.nbytes)
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            network(y * 1)
        assert (sum(sizes) == 0) == frozen


@pytest.mark.parametrize("function", [torch.relu, F.relu6, F.hardtanh, F.leaky_relu])
def test_numbers_that_are_none_and_borders_pass_as_in_torch(function):
    network = nn.Identity()
    treatment = treat(network, "lean")
    x = torch.tensor([float("nan"), float("inf"), -float("inf"), 0.0, -0.0, 6.0, 1.0, -1.0, 2.0])
    results = []
    for run in (treatment.backward, lambda x, loss: loss(network, x).backward()):
        given = x.clone().requires_grad_()
        run(given, lambda _, x: function(x).sum())
        results.append(given.grad)
    assert torch.equal(results[0], results[1])


def test_a_second_derivative_is_that_of_plain_training():
    plain = Everything().double().train()
    plain.drop.p = 0.0
    network = copy.deepcopy(plain)
    treat(network, "lean")
    x = torch.randn(2, 3, 9, 9, dtype=torch.float64)
    found = []
    for each in (plain, network):
        given = x.clone().requires_grad_()
        (first,) = torch.autograd.grad(each(given).square().sum(), given, create_graph=True)
        found.append(torch.autograd.grad(first.square().sum(), given)[0])
    assert torch.allclose(found[0], found[1], rtol=1e-12, atol=1e-12)


class Recomputed(nn.Module):
    def __init__(self, reentrant):
        super().__init__()
        torch.manual_seed(0)
        self.block, self.reentrant = nn.Sequential(nn.Linear(6, 6), nn.ReLU()), reentrant

    def forward(self, x):
        return torch.relu(checkpoint(self.block, x, use_reentrant=self.reentrant) - 0.1)


@pytest.mark.parametrize("reentrant", [True, False])
def test_a_network_that_checkpoints_itself_stays_exact(reentrant):
    x = torch.randn(4, 6)
    plain, network = Recomputed(reentrant), Recomputed(reentrant)
    treat(network, "lean")
    assert_equal(trained(network, x), trained(plain, x))


def test_it_composes_with_checkpointing_and_with_what_treats_layers():
    x = torch.randn(4, 6)
    layers = [nn.Linear(6, 6), nn.ReLU(), nn.Linear(6, 6), nn.ReLU(), nn.Linear(6, 3)]
    torch.manual_seed(1)
    plain = nn.Sequential(nn.Sequential(*layers), nn.ReLU())
    layout = ModelLayout(blocks="0")
    for parts in (
        [("lean", {}), ("checkpoint", {})],
        [("checkpoint", {}), ("lean", {})],
        [("asi", {"fraction": 1.0}), ("lean", {})],
        [("lean", {}), ("saved_bf16", {})],
    ):
        network = copy.deepcopy(plain)
        treat(network, parts, layout=layout)
        tolerance = 0.02 if "saved_bf16" in dict(parts) else 1e-5
        for a, b in zip(trained(network, x)[:3], trained(plain, x)[:3], strict=True):
            assert torch.allclose(a, b, rtol=tolerance, atol=tolerance)
        plain.zero_grad()


def test_transforms_of_torch_func_run_as_they_are():
    network = nn.Sequential(nn.Linear(3, 3), nn.ReLU())
    treatment = treat(network, "lean")
    x = torch.randn(5, 3)

    def loss(x):
        return network(x).sum()

    with contextlib.suppress(AttributeError):
        network.train()
    gradients = torch.func.vmap(torch.func.grad(loss))(x)
    expected = torch.autograd.grad(treatment.merge()(given := x.requires_grad_()).sum(), given)[0]
    assert torch.allclose(gradients, expected)


def test_a_network_without_such_functions_is_told():
    treatment = treat(nn.Sequential(nn.Linear(3, 3), nn.GELU()), "lean")
    assert treatment.notes() == []
    treatment.backward(torch.randn(2, 3), lambda network, x: network(x).sum())
    assert treatment.notes() == ["lean found no function that it can change, so it had no effect"]
