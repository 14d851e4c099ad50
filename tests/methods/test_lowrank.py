"""WSI and WASI: the factored update is the dense algorithm; no dense weight ever exists."""

import copy
import gc
import itertools
import weakref

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from ondevice_bench.errors import Refusal
from ondevice_bench.measure.allocations import record_allocations
from ondevice_bench.methods.optimizer import MomentumRefused
from ondevice_bench.methods.optimizer_guard import WrongOptimizer
from ondevice_bench.methods.pending_gradient import UnconsumedUpdate
from ondevice_bench.methods.subspace import FactoredGradient, GradientSum, has_small_span
from ondevice_bench.methods.thin_products import computes_blocks, products
from ondevice_bench.methods.treatment import treat
from tests.methods.conftest import conv_cases, difference, linear_cases, randn
from tests.methods.test_compressed_input import decaying, rebuilt

# even kernels with odd dilation, as torch pads them
pytestmark = pytest.mark.filterwarnings("ignore:Using padding=.same")

RATE, DECAY = 0.05, 1e-2
CASES = st.one_of(linear_cases(), conv_cases(groups=False))


def orth(matrix):
    q, r = torch.linalg.qr(matrix)
    return q * torch.where(r.diagonal() < 0, -1.0, 1.0).to(q.dtype)


def plain_gradient(layer, x, dy):
    """Dense G = dW of the plain layer for input x, as a matrix."""
    weight = layer.weight.detach().clone().requires_grad_()
    if isinstance(layer, nn.Linear):
        y = F.linear(x, weight)
    else:
        y = F.conv2d(x, weight, None, layer.stride, layer.padding, layer.dilation)
    (gradient,) = torch.autograd.grad(y, weight, dy)
    return gradient.flatten(1)


class Dense:
    """The algorithm as methods.md states it, with dense matrices."""

    def __init__(self, layer, rank):
        u, s, vt = torch.linalg.svd(layer.weight.detach().flatten(1), full_matrices=False)
        self.left = u[:, :rank]
        self.right = s[:rank, None] * vt[:rank]
        self.bias = None if layer.bias is None else layer.bias.detach().clone()

    def weight(self):
        return self.left @ self.right

    def update(self, gradient, bias_gradient, clip, *, iterates=True):
        squares = gradient.square().sum()
        if bias_gradient is not None:
            squares = squares + bias_gradient.square().sum()
        shrink = 1.0 if clip is None else min(1.0, clip / (squares.sqrt().item() + 1e-6))
        moved = (1 - RATE * DECAY) * self.weight() - RATE * shrink * gradient
        if iterates:
            self.left = orth(moved @ (moved.T @ self.left))
        self.right = self.left.T @ moved
        if bias_gradient is not None:
            self.bias = (1 - RATE * DECAY) * self.bias - RATE * shrink * bias_gradient


VARIANTS = {"": {}, "sequential": {"sequential": True}, "every 3": {"every": 3}}


@pytest.mark.parametrize("method", ["wsi", "wasi", "wasi sequential", "wasi every 3"])
@pytest.mark.parametrize("clip", [None, 0.5])
@given(case=CASES, fraction=st.sampled_from([0.3, 0.6]))
@settings(max_examples=15)
def test_ten_factored_updates_are_ten_dense_ones(method, clip, case, fraction):
    layer, x = case
    name, _, variant = method.partition(" ")
    options = VARIANTS[variant]
    treatment = treat(nn.Sequential(copy.deepcopy(layer)), name, fraction=fraction, **options)
    (model,) = treatment.module
    rank = model.left.shape[1]
    dense = Dense(layer, rank)
    optimizer = treatment.optimizer(RATE, DECAY, clip)
    assert difference(model.dense(), dense.weight()) <= 1e-9
    for step in range(10):
        y = model(x)
        dy = randn(*y.shape, seed=step)
        saved = y.grad_fn.saved_tensors[2:]
        seen = saved[0] if name == "wsi" else rebuilt(name, saved, x.shape)
        expected = (
            F.linear(x, dense.weight(), dense.bias)
            if isinstance(layer, nn.Linear)
            else F.conv2d(
                x,
                dense.weight().view_as(layer.weight),
                dense.bias,
                layer.stride,
                layer.padding,
                layer.dilation,
            )
        )
        assert difference(y.detach(), expected) <= 1e-9
        y.backward(dy)
        features = dy.ndim - 1 if isinstance(layer, nn.Linear) else 1
        others = [m for m in range(dy.ndim) if m != features]
        dense.update(
            plain_gradient(layer, seen, dy),
            None if layer.bias is None else dy.sum(others),
            clip,
            iterates=(step + 1) % options.get("every", 1) == 0,
        )
        optimizer.step()
        optimizer.zero_grad()
        assert difference(model.dense(), dense.weight()) <= 1e-9
    identity = torch.eye(rank, dtype=torch.float64)
    assert (model.left.T @ model.left - identity).abs().max() <= 1e-10


def test_the_tolerance_of_the_definition_holds_on_a_well_conditioned_layer():
    torch.manual_seed(0)
    layer = nn.Linear(24, 16, dtype=torch.float64)
    x, dy = decaying(8, 5, 24), randn(8, 5, 16, seed=3)
    for name in ("wsi", "wasi"):
        treatment = treat(nn.Sequential(copy.deepcopy(layer)), name, rank=6)
        (model,) = treatment.module
        dense, optimizer = Dense(layer, 6), treatment.optimizer(RATE, DECAY, 2.0)
        for _ in range(10):
            y = model(x)
            saved = y.grad_fn.saved_tensors[2:]
            seen = saved[0] if name == "wsi" else rebuilt(name, saved, x.shape)
            y.backward(dy)
            dense.update(plain_gradient(layer, seen, dy), dy.sum((0, 1)), 2.0)
            optimizer.step()
            optimizer.zero_grad()
        assert difference(model.dense(), dense.weight()) <= 1e-10


def trained_steps(model, optimizer, steps):
    """The left factors after each step, of the network on an input of its own."""
    lefts = []
    for seed in steps:
        model(randn(5, 6, seed=seed)).square().sum().backward()
        optimizer.step()
        optimizer.zero_grad()
        lefts.append([layer.left.detach().clone() for layer in model])
    return lefts


def two_layers(**options):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 8), nn.Linear(8, 5)).double()
    treatment = treat(model, "wasi", rank=3, **options)
    return model, treatment.optimizer(lr=0.01)


def test_the_layers_of_a_network_iterate_their_weights_in_turn():
    model, optimizer = two_layers(every=3)
    lefts = [[layer.left.detach().clone() for layer in model]]
    lefts += trained_steps(model, optimizer, range(7))
    moved = [
        [not torch.equal(a, b) for a, b in zip(old, new, strict=True)]
        for old, new in itertools.pairwise(lefts)
    ]
    assert [number for number, (first, _) in enumerate(moved, start=1) if first] == [3, 6]
    assert [number for number, (_, second) in enumerate(moved, start=1) if second] == [2, 5]


def test_a_loaded_network_goes_on_with_the_iterations_where_it_stopped():
    model, optimizer = two_layers(every=3)
    trained_steps(model, optimizer, range(4))
    twin, its_optimizer = two_layers(every=3)
    twin.load_state_dict(model.state_dict())
    ours, theirs = (
        trained_steps(*each, range(4, 8)) for each in ((model, optimizer), (twin, its_optimizer))
    )
    for one, other in zip(ours, theirs, strict=True):
        assert all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


def test_every_step_is_an_iteration_by_default_and_weights_of_such_a_network_load():
    model, _ = two_layers()
    assert not [name for name in model.state_dict() if "schedule" in name]
    two_layers(every=3)[0].load_state_dict(model.state_dict())


def test_factors_as_parameters_have_no_iteration_to_leave_out():
    with pytest.raises(Refusal, match="`every` needs the subspace update"):
        treat(nn.Sequential(nn.Linear(4, 4)), "wasi", rank=2, update="factors", every=2)


@given(case=CASES)
@settings(max_examples=40)
def test_dx_and_db_go_through_the_factors(case):
    layer, x = case
    model = treat(nn.Sequential(copy.deepcopy(layer)), "wasi", fraction=0.5).module[0]
    plain = copy.deepcopy(layer)
    with torch.no_grad():
        plain.weight.copy_(model.dense().view_as(plain.weight))
    results = []
    for module in (model, plain):
        seen = x.clone().requires_grad_()
        y = module(seen)
        y.backward(randn(*y.shape, seed=2))
        results.append(
            (y.detach(), seen.grad, module.bias.grad if layer.bias is not None else y.detach())
        )
    for ours, theirs in zip(*results, strict=True):
        assert difference(ours, theirs) <= 1e-11


@pytest.mark.parametrize("method", ["wsi", "wasi"])
@given(case=CASES)
@settings(max_examples=30)
def test_factors_as_parameters_get_their_own_gradients(method, case):
    layer, x = case
    model = treat(
        nn.Sequential(copy.deepcopy(layer)), method, fraction=0.5, update="factors"
    ).module[0]
    y = model(x)
    dy = randn(*y.shape, seed=2)
    saved = y.grad_fn.saved_tensors[2:]
    seen = saved[0] if method == "wsi" else rebuilt(method, saved, x.shape)
    y.backward(dy)
    gradient = plain_gradient(layer, seen, dy)
    assert difference(model.left.grad, gradient @ model.right.detach().T) <= 1e-10
    assert difference(model.right.grad, model.left.detach().T @ gradient) <= 1e-10


def test_accumulated_pairs_are_the_sum_of_their_gradients():
    torch.manual_seed(0)
    layer = nn.Conv2d(4, 6, 3, padding=1).double()
    model = nn.Sequential(copy.deepcopy(layer))
    treatment = treat(model, "wasi", rank=3)
    optimizer = treatment.optimizer(RATE, DECAY, 1.0, accumulate=2)
    dense, total, bias = Dense(layer, 3), 0, 0
    for seed in (1, 2):
        x = randn(2, 4, 5, 5, seed=seed)
        y = model(x)
        dy = randn(*y.shape, seed=seed)
        seen = rebuilt("wasi", y.grad_fn.saved_tensors[2:], x.shape)
        y.backward(dy)
        total, bias = total + plain_gradient(layer, seen, dy), bias + dy.sum((0, 2, 3))
    dense.update(total, bias, 1.0)
    optimizer.step()
    assert difference(model[0].dense(), dense.weight()) <= 1e-10


@pytest.mark.parametrize("method", ["wasi", "wsi", "wasi sequential"])
def test_no_tensor_of_the_dense_weights_size_is_ever_allocated(method):
    name, _, variant = method.partition(" ")
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(256, 320))
    treatment = treat(model, name, rank=8, **({"sequential": True} if variant else {}))
    optimizer = treatment.optimizer(RATE, DECAY, 1.0)
    x = decaying(4, 9, 256).float()
    for _ in range(3):
        with record_allocations() as step:
            model(x).square().sum().backward()
            optimizer.step()
            optimizer.zero_grad()
        assert 0 < step.largest_bytes < 256 * 320 * 4


@pytest.mark.parametrize("method", ["wasi", "wsi"])
def test_the_dense_weight_is_gone_once_treated(method):
    model = nn.Sequential(nn.Linear(123, 77), nn.Conv2d(9, 11, 3))
    weights = [weakref.ref(model[0].weight), weakref.ref(model[1].weight)]
    treatment = treat(model, method, rank=3)
    gc.collect()
    assert [weight() for weight in weights] == [None, None]
    sizes = [sum(p.numel() for p in layer.parameters()) for layer in treatment.module]
    norm = 4  # where a loop sees the gradient's norm
    assert sizes == [3 * (123 + 77) + 77 + norm, 3 * (81 + 11) + 11 + norm]


def test_the_gradient_that_waits_is_thin():
    model = nn.Sequential(nn.Linear(64, 80))
    treatment = treat(model, "wasi", rank=5)
    model(torch.randn(6, 7, 64)).sum().backward()
    assert sorted(tuple(t.shape) for t in treatment.gradients()) == [(64, 5), (80, 5)]
    assert model[0].left.grad is None


@pytest.mark.parametrize("method", ["wsi", "wasi"])
def test_an_optimizer_that_knows_no_subspace_update_is_refused_before_it_trains(method):
    model = nn.Sequential(nn.Linear(8, 8))
    treatment = treat(model, method, rank=2)
    x, before = torch.randn(4, 8), treatment.module[0].dense().detach()
    stock = torch.optim.SGD(model.parameters(), lr=0.1)
    model(x).sum().backward()
    with pytest.raises(WrongOptimizer, match=r"^0: .*Treatment\.optimizer"):
        stock.step()
    assert torch.equal(treatment.module[0].dense(), before)
    treatment.optimizer(lr=0.1).step()
    assert not torch.equal(treatment.module[0].dense(), before)


def test_a_gradient_that_no_optimizer_applied_is_refused_in_the_next_forward():
    model = nn.Sequential(nn.Linear(8, 8))
    treatment = treat(model, "wasi", rank=2)
    x = torch.randn(4, 8)
    model(x).sum().backward()
    with pytest.raises(UnconsumedUpdate, match=r"^0: .*accumulate=N"):
        model(x)
    treatment.optimizer(lr=0.1).zero_grad()
    model(x)


def test_momentum_is_refused_for_the_subspace_update_only():
    model = nn.Sequential(nn.Linear(8, 8))
    with pytest.raises(MomentumRefused, match="factor space"):
        treat(copy.deepcopy(model), "wsi", rank=2).optimizer(lr=0.1, momentum=0.9)
    treat(model, "wsi", rank=2, update="factors").optimizer(lr=0.1, momentum=0.9)


def test_one_global_norm_over_plain_and_factored_weights():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 8), nn.Linear(8, 5)).double()
    treatment = treat(model, "wasi", "pattern:0", rank=8)
    optimizer = treatment.optimizer(lr=1.0, clip=0.1)
    plain = copy.deepcopy(nn.Sequential(nn.Linear(6, 8), nn.Linear(8, 5))).double()
    x = decaying(9, 6)
    before = [p.detach().clone() for p in model[1].parameters()]
    model(x).square().sum().backward()
    with torch.no_grad():
        plain[0].weight.copy_(model[0].dense())
        plain[0].bias.copy_(model[0].bias)
        plain[1].load_state_dict(model[1].state_dict())
    plain(x).square().sum().backward()
    norm = torch.nn.utils.clip_grad_norm_(plain.parameters(), 0.1)
    assert norm > 0.1
    optimizer.step()
    for old, new, reference in zip(
        before, model[1].parameters(), plain[1].parameters(), strict=True
    ):
        assert difference(old - new, reference.grad) <= 1e-9


@pytest.mark.parametrize("positions", [3, 5, 40])
def test_both_ways_to_the_five_products_are_those_of_the_dense_gradient(positions):
    rows, columns, rank = 300, 7, 2  # more rows than a block has
    x, dy = randn(positions, columns), randn(positions, rows, seed=1)
    left, right = randn(rows, rank, seed=2), randn(rank, columns, seed=3)
    assert computes_blocks(positions, rows, columns) == (positions > 6)
    found = products(x, dy, left, right)
    g = dy.T @ x
    expected = [g.T @ left, g @ right.T, g @ (g.T @ left), g.T @ (g @ right.T)]
    expected.append(g.T @ (g @ (g.T @ left)))
    for ours, exact in zip(found.tensors(), expected, strict=True):
        assert difference(ours, exact) <= 1e-12
    assert difference(found.squared_norm, g.square().sum()) <= 1e-12


def dense_step(gradient, left, right, columns):
    """One step of the definition, with dense matrices."""
    moved = 0.99 * left @ right - 0.1 * gradient.times(torch.eye(columns, dtype=left.dtype))
    left = orth(moved @ (moved.T @ left))
    return left, left.T @ moved


@given(
    rank=st.integers(1, 5),
    features=st.integers(1, 3),
    taps=st.sampled_from([1, 2]),
    inside=st.booleans(),
    seed=st.integers(0, 99),
)
@settings(max_examples=25)
def test_a_step_in_the_span_of_both_factors_is_the_dense_step(rank, features, taps, inside, seed):
    rows, channels, width = 24, 8, features * taps
    assert has_small_span(rows, rank, width)
    left = orth(randn(rows, rank, seed=seed))
    right = randn(rank, channels * taps, seed=seed + 1)
    thin = randn(rows, width, seed=seed + 2)
    if inside:  # nothing of the gradient lies outside of L
        thin = left @ (left.T @ thin)
    gradient = FactoredGradient(thin, orth(randn(channels, features, seed=seed + 3)), taps)
    found = GradientSum.of(gradient).scaled_update(left, right, 0.99, 0.1)
    expected = dense_step(gradient, left, right, channels * taps)
    for ours, dense in zip(found, expected, strict=True):
        assert difference(ours, dense) <= 1e-9


def test_factors_that_have_drifted_take_the_step_that_makes_them_orthonormal_again():
    left, right = orth(randn(24, 4)), randn(4, 8, seed=1)
    gradient = FactoredGradient(randn(24, 2, seed=2), orth(randn(8, 2, seed=3)))
    drifted = left * (1 + 1e-9)
    turned, moved = GradientSum.of(gradient).scaled_update(drifted, right, 0.99, 0.1)
    assert (turned.T @ turned - torch.eye(4)).abs().max() <= 1e-12
    expected = dense_step(gradient, drifted, right, 8)
    assert difference(turned @ moved, expected[0] @ expected[1]) <= 1e-9


def test_a_thousand_steps_in_float32_keep_the_basis_orthonormal():
    left, right = orth(randn(24, 4)).float(), randn(4, 8, seed=1).float()
    for step in range(1000):
        thin = randn(24, 2, seed=step).float()
        gradient = FactoredGradient(thin, orth(randn(8, 2, seed=step)).float())
        left, right = GradientSum.of(gradient).scaled_update(left, right, 0.99, 0.1)
    assert (left.T @ left - torch.eye(4)).abs().max() <= 2e-5
