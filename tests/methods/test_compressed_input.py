"""SVD, HOSVD, ASI: exact in all but dW, and dW is the plain formula on the restored input."""

import copy
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from ondevice_bench.errors import Refusal
from ondevice_bench.methods.treatment import treat
from tests.methods.conftest import (
    conv_cases,
    difference,
    gradients,
    linear_cases,
    randn,
    treated,
)

# even kernels with odd dilation, as torch pads them
pytestmark = pytest.mark.filterwarnings("ignore:Using padding=.same")

METHODS = ["svd", "hosvd", "asi", "asi sequential"]
CASES = st.one_of(linear_cases(), conv_cases())


def _options(method):
    name, _, variant = method.partition(" ")
    return name, ({"sequential": True} if variant else {})


def rebuilt(method, saved, shape):
    """X~ from the saved factors, by einsum in textbook order."""
    if method == "svd":
        left, right = saved
        return (left @ right).reshape(shape)
    core, *factors = saved
    letters = "abcd"[: len(factors)]
    terms = ",".join(f"{c.upper()}{c}" for c in letters)
    return torch.einsum(f"{letters},{terms}->{letters.upper()}", core, *factors)


@pytest.mark.parametrize("method", METHODS)
@given(case=CASES, fraction=st.sampled_from([0.2, 0.5, 0.8, 1.0]))
@settings(max_examples=60)
def test_output_dx_and_db_are_exact_and_dw_follows_from_what_was_stored(method, case, fraction):
    layer, x = case
    name, options = _options(method)
    compressed = treated(layer, name, fraction=fraction, **options)
    for step in range(2):  # the second step of ASI starts warm
        found = gradients(compressed, x, dy_seed=step)
        exact = gradients(layer, x, dy_seed=step)
        assert torch.equal(found.y, exact.y)
        assert difference(found.dx, exact.dx) <= 1e-12
        if layer.bias is not None:
            assert difference(found.db, exact.db) <= 1e-12
        weight, *saved = found.saved
        assert weight is compressed.weight
        again = gradients(layer, rebuilt(name, saved, x.shape), dy_seed=step)
        assert difference(found.dw, again.dw) <= 1e-10


@pytest.mark.parametrize("method", METHODS)
@given(case=CASES)
@settings(max_examples=40)
def test_with_nothing_truncated_a_method_is_vanilla(method, case):
    layer, x = case
    name, options = _options(method)
    compressed = treated(layer, name, fraction=1.0, **options)
    for _ in range(2):
        found = gradients(compressed, x)
    assert difference(found.dw, gradients(layer, x).dw) <= 1e-9


@pytest.mark.parametrize("method", METHODS)
@given(case=CASES, rank=st.integers(1, 4))
@settings(max_examples=40)
def test_stored_elements_are_the_definitions(method, case, rank):
    layer, x = case
    name, options = _options(method)
    treatment = treat(nn.Sequential(copy.deepcopy(layer)), name, rank=rank, **options)
    y = treatment.module(x.clone().requires_grad_())
    _, *saved = y.grad_fn.saved_tensors
    (report,) = treatment.report()
    shape, (*ranks,) = tuple(x.shape), report.ranks.activation
    if method == "svd":
        by_hand = ranks[0] * (shape[0] + math.prod(shape[1:]))
    elif method == "asi sequential":
        by_hand = sum(t.numel() for t in saved)  # its ranks depend on each other
    else:
        by_hand = math.prod(ranks) + sum(d * r for d, r in zip(shape, ranks, strict=True))
    assert report.elements == by_hand == sum(t.numel() for t in saved)
    bytes_held = sum(t.untyped_storage().nbytes() for t in saved)
    assert bytes_held == by_hand * x.element_size()


@given(case=st.one_of(linear_cases(), conv_cases()), rank=st.integers(1, 4))
@settings(max_examples=40)
def test_hosvd_captures_what_an_independent_svd_captures(case, rank):
    layer, x = case
    found = gradients(treated(layer, "hosvd", rank=rank), x)
    core, *factors = found.saved[1:]
    for mode, factor in enumerate(factors):
        unfolded = x.movedim(mode, 0).reshape(x.shape[mode], -1)
        exact = torch.linalg.svdvals(unfolded)[: factor.shape[1]].square().sum()
        assert (factor.T @ unfolded).square().sum().item() == pytest.approx(exact.item(), rel=1e-9)
        identity = torch.eye(factor.shape[1], dtype=factor.dtype)
        assert (factor.T @ factor - identity).abs().max() < 1e-10
    projected = torch.einsum(
        "abcd,aA,bB,cC,dD->ABCD"
        if x.ndim == 4
        else "abc,aA,bB,cC->ABC"
        if x.ndim == 3
        else "ab,aA,bB->AB",
        x,
        *factors,
    )
    assert difference(core, projected) <= 1e-10


@given(case=st.one_of(linear_cases(), conv_cases()), rank=st.integers(1, 5))
@settings(max_examples=40)
def test_svd_captures_what_an_independent_svd_captures(case, rank):
    layer, x = case
    left, right = gradients(treated(layer, "svd", rank=rank), x).saved[1:]
    exact = torch.linalg.svdvals(x.reshape(len(x), -1))[: left.shape[1]].square().sum()
    assert (left @ right).square().sum().item() == pytest.approx(exact.item(), rel=1e-9)


def decaying(*shape, seed=0):
    """A tensor whose mode spectra decay like k^-0.5."""
    x = randn(*shape, seed=seed)
    for mode, size in enumerate(shape):
        basis = torch.linalg.qr(randn(size, size, seed=seed + mode))[0]
        scale = torch.arange(1, size + 1, dtype=x.dtype) ** -0.5
        x = torch.tensordot(basis * scale, x, ([1], [mode])).movedim(0, mode)
    return x


@pytest.mark.parametrize("sequential", [False, True])
def test_asi_nears_the_hosvd_of_the_same_ranks_step_by_step(sequential):
    x = decaying(16, 20, 24)
    layer = nn.Linear(24, 8, dtype=torch.float64)
    best = _energy(gradients(treated(layer, "hosvd", rank=6), x).saved)
    iterated = treated(layer, "asi", rank=6, sequential=sequential)
    captured = [_energy(gradients(iterated, x).saved) for _ in range(30)]
    assert captured[0] < captured[1] < captured[2]
    assert captured[-1] > 0.99 * best


def _energy(saved):
    return saved[1].square().sum().item()


def test_the_state_is_a_new_tensor_each_step_and_moves_in_backward_only():
    x = decaying(6, 5, 8)
    layer = treated(nn.Linear(8, 4, dtype=torch.float64), "asi", rank=3)
    assert layer.scheme.state == ()
    y = layer(x)
    assert layer.scheme.state == ()
    y.sum().backward()
    first = layer.scheme.state
    kept = [basis.clone() for basis in first]
    one, other = layer(x), layer(x)  # a forward that is repeated stores the same
    for a, b in zip(one.grad_fn.saved_tensors, other.grad_fn.saved_tensors, strict=True):
        assert torch.equal(a, b)
    one.sum().backward()
    assert all(torch.equal(a, b) for a, b in zip(first, kept, strict=True))
    assert not any(torch.equal(a, b) for a, b in zip(layer.scheme.state, first, strict=True))


def test_a_smaller_last_batch_uses_the_first_rows_and_leaves_the_state():
    x = decaying(6, 5, 8)
    layer = treated(nn.Linear(8, 4, dtype=torch.float64), "asi", rank=4)
    gradients(layer, x)
    before = layer.scheme.state
    found = gradients(layer, x[:2])
    assert [tuple(t.shape) for t in found.saved[2:]] == [(2, 2), (5, 4), (8, 4)]
    assert all(a is b for a, b in zip(layer.scheme.state, before, strict=True))
    assert tuple(gradients(layer, x).saved[2].shape) == (6, 4)


def test_a_basis_that_stays_put_keeps_its_signs():
    x = torch.einsum("a,b,c->abc", *(randn(n, seed=n) for n in (4, 5, 6)))
    layer = treated(nn.Linear(6, 3, dtype=torch.float64), "asi", rank=1)
    runs = [gradients(layer, x).saved[2:] for _ in range(3)]
    for a, b in zip(runs[1], runs[2], strict=True):
        assert (a - b).abs().max() < 1e-12


def test_the_start_leaves_the_global_generator_alone_and_differs_by_layer():
    model = nn.Sequential(nn.Linear(6, 6), nn.Linear(6, 6))
    treat(model, "asi", rank=2)
    state = torch.get_rng_state()
    model(torch.ones(4, 6)).sum().backward()
    assert torch.equal(state, torch.get_rng_state())
    first, second = (model[i].scheme.choice.stream("mode 0").initial_seed() for i in (0, 1))
    assert first != second


@pytest.mark.parametrize("method", ["svd", "hosvd", "asi", "wasi"])
def test_zero_activations_give_rank_zero_gradients_and_no_error(method):
    layer = treated(nn.Linear(5, 4), method, rank=2)
    layer(torch.zeros(6, 3, 5)).sum().backward()
    if method != "wasi":
        assert layer.weight.grad.abs().max() == 0


@pytest.mark.parametrize("method", ["svd", "hosvd", "asi", "wasi"])
@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_activations_that_are_not_finite_name_the_layer(method, bad):
    model = nn.Sequential(nn.Identity(), nn.Linear(5, 4))
    treat(model, method, rank=2)
    x = torch.ones(6, 3, 5)
    x[1, 1, 1] = bad
    with pytest.raises(ValueError, match=r"^1: the input holds NaN or infinity$"):
        model(x)


@pytest.mark.parametrize("method", METHODS)
def test_a_treated_layer_is_plain_in_evaluation_and_without_gradients(method):
    name, options = _options(method)
    layer = nn.Linear(5, 4)
    compressed = treated(layer, name, rank=1, **options)
    x = torch.randn(6, 5, requires_grad=True)
    with torch.no_grad():
        assert torch.equal(compressed(x), layer(x))
    compressed.eval()
    assert "CompressedInput" not in type(compressed(x).grad_fn).__name__


@pytest.mark.parametrize("method", [*METHODS, "wsi", "wasi"])
def test_state_dict_and_deepcopy_carry_everything(method):
    name, options = _options(method)
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 5), nn.Linear(5, 4)).double()
    x = decaying(8, 6)
    treatment = treat(model, name, rank=3, **options)
    optimizer = treatment.optimizer(lr=0.1)
    for _ in range(2):
        model(x).square().sum().backward()
        optimizer.step()
        optimizer.zero_grad()
    twin = copy.deepcopy(model)
    other = nn.Sequential(nn.Linear(6, 5), nn.Linear(5, 4)).double()
    treat(other, name, rank=3, **options)
    other.load_state_dict(model.state_dict())
    outs = [m(x) for m in (model, twin, other)]
    saved = [o.grad_fn.saved_tensors for o in outs]
    for mine, second, third in zip(*saved, strict=True):
        assert torch.equal(mine, second)
        assert torch.equal(mine, third)


@pytest.mark.parametrize("method", METHODS)
def test_weights_of_a_plain_network_load_into_a_treated_one(method):
    name, options = _options(method)
    model = nn.Sequential(nn.Linear(6, 5))
    weights = copy.deepcopy(model.state_dict())
    treat(model, name, rank=3, **options)
    model.load_state_dict(weights)


@pytest.mark.parametrize(
    "method", [*METHODS, "wsi", "wasi", "lora", "lora_fa", "wsi_svd", "gradient_filter"]
)
def test_merge_gives_plain_layers_back(method):
    name, options = _options(method)
    options |= {} if name == "gradient_filter" else {"rank": 2}
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 6, 3, 2, 1), nn.ReLU(), nn.Conv2d(6, 4, 1)).double()
    treatment = treat(model, name, **options)
    optimizer = treatment.optimizer(lr=0.1)
    x = randn(2, 3, 8, 8)
    model(x).square().sum().backward()
    optimizer.step()
    optimizer.zero_grad()
    with torch.no_grad():
        before = model(x)
        plain = treatment.merge()
        assert difference(plain(x), before) <= 1e-12
    assert [type(m) for m in plain] == [nn.Conv2d, nn.ReLU, nn.Conv2d]
    assert all(p.requires_grad for p in plain.parameters())


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("method", [*METHODS, "wasi"])
def test_other_precisions_train(method, dtype):
    name, options = _options(method)
    model = nn.Sequential(nn.Linear(12, 8)).to(dtype)
    treatment = treat(model, name, fraction=0.5, **options)
    optimizer = treatment.optimizer(lr=0.1, clip=1.0)
    for _ in range(2):
        y = model(decaying(8, 4, 12).to(dtype))
        assert all(t.dtype == dtype for t in y.grad_fn.saved_tensors)
        y.square().mean().backward()
        optimizer.step()
        optimizer.zero_grad()
    merged = treatment.merge()
    assert all(p.dtype == dtype and p.isfinite().all() for p in merged.parameters())


def test_a_mean_ten_times_the_deviation_loses_nothing_in_float32():
    x = decaying(32, 40, 48)
    x = (x / x.std() + 10).float()
    spectrum = torch.linalg.svdvals(x.double().movedim(2, 0).reshape(48, -1)).square()
    from ondevice_bench.methods.ranks import by_epsilon
    from ondevice_bench.methods.tensors import energies

    for epsilon in (0.9, 0.99):
        exact = by_epsilon(epsilon, spectrum, 48)
        assert by_epsilon(epsilon, energies(x, 2), 48) == exact


@pytest.mark.parametrize("mode", [0, 1, 2])
def test_the_start_is_a_gaussian_sketch_of_the_unfolding(mode):
    from ondevice_bench.methods.tensors import sketch

    x = decaying(5, 6, 7)
    found = sketch(x, mode, 3, torch.Generator().manual_seed(1))
    unfolded = x.movedim(mode, 0).reshape(x.shape[mode], -1)
    assert tuple(found.shape) == (x.shape[mode], 3)
    # it lies in the unfolding's range, and scaling the unfolding scales it
    residual = found - unfolded @ torch.linalg.lstsq(unfolded, found).solution
    assert residual.abs().max() < 1e-9
    again = sketch(2 * x, mode, 3, torch.Generator().manual_seed(1))
    assert difference(again, 2 * found) < 1e-12


def test_the_first_step_allocates_no_more_than_the_later_ones():
    from ondevice_bench.measure.allocations import record_allocations

    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3072, 64))
    treat(model, "asi", rank=100)
    x = torch.randn(8, 50, 3072)
    largest = []
    for _ in range(2):
        with record_allocations() as step:
            model(x).sum().backward()
        largest.append(step.peak_bytes)
    assert largest[0] < largest[1] + (40 << 20)  # outer products would take 490 MiB


@pytest.mark.parametrize("method", ["svd", "hosvd", "asi"])
def test_a_convolution_whose_geometry_changes_later_has_the_gradients_of_the_new_one(method):
    torch.manual_seed(0)
    layer = nn.Conv2d(3, 4, 3, padding=1).double()
    ours = treated(layer, method, fraction=1.0)
    for each in (layer, ours):
        each.dilation = each.padding = (2, 2)
    found, exact = (gradients(each, randn(2, 3, 9, 9)) for each in (ours, layer))
    assert torch.equal(found.y, exact.y)
    for name in ("dx", "dw", "db"):
        assert difference(getattr(found, name), getattr(exact, name)) <= 1e-12
    ours.padding_mode = "circular"
    with pytest.raises(Refusal, match=r"^0: since treat\(\), other code lets it pad with 'circ"):
        ours(randn(2, 3, 9, 9))
