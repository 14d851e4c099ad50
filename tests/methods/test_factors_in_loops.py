"""WSI and WASI in the training loops of other people: as plain training at full rank, or refused."""

import copy
import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from ondevice_bench.errors import Refusal
from ondevice_bench.methods.first_derivative import NoSecondDerivative
from ondevice_bench.methods.optimizer_guard import WrongOptimizer
from ondevice_bench.methods.pending_gradient import ChangedGradient, UnconsumedUpdate
from ondevice_bench.methods.treatment import treat

BOTH = pytest.mark.parametrize("method", ["wsi", "wasi", "wsi_svd"])
REPLACING = pytest.mark.parametrize(
    ("method", "options"),
    [
        ("wsi", {"fraction": 1.0}),
        ("wasi", {"fraction": 1.0}),
        ("wsi", {"fraction": 1.0, "update": "factors"}),
        ("lora", {}),
        ("lora_fa", {}),
        ("wsi_svd", {"fraction": 1.0}),
    ],
)
RATE = 0.1


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 9), nn.GELU(), nn.Linear(9, 3)).double()


def batches(count=3):
    stream = torch.Generator().manual_seed(1)
    return [
        (
            torch.randn(8, 6, dtype=torch.float64, generator=stream),
            torch.randint(0, 3, (8,), generator=stream),
        )
        for _ in range(count)
    ]


def loss(module, batch):
    x, classes = batch
    return F.cross_entropy(module(x), classes)


def plainly(loop, module=None):
    module = module or network()
    loop(module, torch.optim.SGD(module.parameters(), lr=RATE))
    return module


def treated(method, loop, module=None, **options):
    treatment = treat(module or network(), method, fraction=1.0)
    loop(treatment.module, treatment.optimizer(lr=RATE, **options))
    return treatment.merge()


def same(found, expected):
    pairs = zip(found.parameters(), expected.parameters(), strict=True)
    return all((ours - theirs).abs().max() < 1e-12 for ours, theirs in pairs)


def clips(module, optimizer):
    for batch in batches():
        loss(module, batch).backward()
        nn.utils.clip_grad_norm_(module.parameters(), 0.1)
        optimizer.step()
        optimizer.zero_grad()


def scales(module, optimizer):
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
    for batch in batches():
        scaler.scale(loss(module, batch)).backward()
        scaler.unscale_(optimizer)
        nn.utils.clip_grad_norm_(module.parameters(), 0.1)
        scaler.step(optimizer)
        scaler.update()
        optimizer.zero_grad()


def gives_up(module, optimizer):
    for batch in batches():
        loss(module, batch).backward()
        module.zero_grad()
        loss(module, batch).backward()
        optimizer.step()
        module.zero_grad()


def calls_twice(module, optimizer):
    first, second, third = batches()
    for one, other in ((first, second), (second, third)):
        (loss(module, one) + loss(module, other)).backward()
        optimizer.step()
        optimizer.zero_grad()


def accumulates(module, optimizer):
    for _ in range(2):
        for batch in batches(3):
            loss(module, batch).backward()
        nn.utils.clip_grad_norm_(module.parameters(), 0.1)
        optimizer.step()
        optimizer.zero_grad()


@BOTH
@pytest.mark.parametrize("loop", [clips, scales, gives_up, calls_twice])
def test_a_loop_does_to_factored_weights_what_it_does_to_plain_ones(method, loop):
    assert same(treated(method, loop), plainly(loop))


@BOTH
def test_gradients_add_up_over_as_many_backward_passes_as_the_loop_says(method):
    assert same(treated(method, accumulates, accumulate=3), plainly(accumulates))
    with pytest.raises(UnconsumedUpdate, match=r"^0: .*accumulate=N"):
        treated(method, accumulates, accumulate=2)


@BOTH
def test_a_head_that_starts_at_zero_trains_as_in_plain_training(method):
    def zeroed():
        module = network()
        nn.init.zeros_(module[2].weight)
        return module

    assert same(treated(method, clips, zeroed()), plainly(clips, zeroed()))


@BOTH
def test_the_gradient_of_a_weight_that_the_network_reads_is_part_of_the_update(method):
    def reads(module, optimizer):
        for batch in batches():
            penalty = 0.1 * module[0].weight.square().sum()
            (loss(module, batch) + penalty).backward()
            optimizer.step()
            optimizer.zero_grad()

    if method == "wsi":  # its five products are not a sum: one reading needs two gradients
        with pytest.raises(Refusal, match="accumulate=2"):
            treated(method, reads)
    assert same(treated(method, reads, accumulate=2), plainly(reads))


def clips_each(lists):
    def loop(module, optimizer):
        for batch in batches():
            loss(module, batch).backward()
            for parameters in lists(module):
                nn.utils.clip_grad_norm_(parameters, 0.05)
            optimizer.step()
            optimizer.zero_grad()

    return loop


@BOTH
def test_a_norm_for_each_layer_or_parameter_is_exact_or_refused(method):
    exact = (
        clips_each(lambda module: (each.parameters() for each in module[::2])),
        clips_each(lambda module: ([each] for each in module.parameters())),
    )
    for loop in exact:
        assert same(treated(method, loop), plainly(loop))
    shallow = clips_each(lambda module: (m.parameters(recurse=False) for m in module[::2]))
    with pytest.raises(Refusal, match=r"^0: the loop clips the factors without `pending.norm`"):
        treated(method, shallow)


@BOTH
def test_values_of_gradients_that_are_clipped_one_by_one_are_refused(method):
    def clips_values(module, optimizer):
        loss(module, batches()[0]).backward()
        nn.utils.clip_grad_value_(module.parameters(), 1e-3)
        optimizer.step()

    with pytest.raises(ChangedGradient, match=r"^\d: .*one factor"):
        treated(method, clips_values)


@REPLACING
def test_an_optimizer_made_before_the_method_is_refused(method, options):
    module = network()
    early = torch.optim.SGD(module.parameters(), lr=RATE)
    treat(module, method, **options)
    before = copy.deepcopy(module.state_dict())
    loss(module, batches()[0]).backward()
    with pytest.raises(WrongOptimizer, match=r"^0: .* after treat\(\)$"):
        early.step()
    found = module.state_dict()
    assert all(torch.equal(found[name], tensor) for name, tensor in before.items())


def test_an_optimizer_with_the_new_parameters_or_with_other_layers_alone_is_not_refused():
    module = network()
    head = torch.optim.SGD(module[2].parameters(), lr=RATE)
    treat(module, "lora", "pattern:0")
    loss(module, batches()[0]).backward()
    head.step()
    torch.optim.SGD(module.parameters(), lr=RATE).step()


@REPLACING
def test_an_optimizer_of_another_network_is_not_refused(method, options):
    module = network()
    treat(network(), method, **options)
    loss(module, batches()[0]).backward()
    torch.optim.SGD(module.parameters(), lr=RATE).step()


@BOTH
def test_derivatives_that_factors_cannot_give_are_refused(method):
    module = treat(network(), method, fraction=1.0).module
    batch = batches()[0]
    with pytest.raises(Refusal, match=r"torch\.autograd\.grad"):
        torch.autograd.grad(loss(module, batch), list(module.parameters()), allow_unused=True)
    module.zero_grad()
    x = batch[0].clone().requires_grad_()
    (gradient,) = torch.autograd.grad(loss(module, (x, batch[1])), x)
    assert gradient.shape == x.shape
    with pytest.raises(NoSecondDerivative, match="create_graph"):
        torch.autograd.grad(loss(module, (x, batch[1])), x, create_graph=True)


@BOTH
@pytest.mark.parametrize("factor", ["left", "right"])
def test_a_factor_that_a_loop_has_frozen_never_moves(method, factor):
    treatment = treat(network(), method, fraction=1.0)
    module, optimizer = treatment.module, treatment.optimizer(lr=RATE)
    frozen = getattr(module[0], factor).requires_grad_(False)
    before = frozen.clone()
    if factor == "right":
        with pytest.raises(Refusal, match=r"^0: .*cannot train one of two factors"):
            module(batches()[0][0])
    else:
        loss(module, batches()[0]).backward()
        optimizer.step()
    assert torch.equal(frozen, before)


@BOTH
def test_hooks_on_the_gradients_of_factors_are_refused(method):
    module = treat(network(), method, fraction=1.0).module
    module[0].left.register_post_accumulate_grad_hook(lambda parameter: None)
    with pytest.raises(Refusal, match=r"^0: .*hooks"):
        module(batches()[0][0])


@BOTH
def test_the_parameter_that_shows_the_norm_marks_the_factors_in_a_state(method):
    module = treat(network(), method, fraction=1.0).module
    names = {name for name, _ in module.named_parameters()}
    assert {"0.pending.norm", "2.pending.norm"} <= names
    state = module.state_dict()
    assert {"0.pending.norm", "2.pending.norm"} <= state.keys()
    twin = treat(network(), method, fraction=1.0).module
    twin.load_state_dict(state)
    assert all(torch.equal(tensor, state[name]) for name, tensor in twin.state_dict().items())
    twin.load_state_dict({name: tensor for name, tensor in state.items() if "norm" not in name})
    twin(batches()[0][0])


def error_of_a_step(smallest, size):
    """The error of a WSI step in float32, as a share of the step; the largest of some matrices.

    `smallest` is the weight's smallest singular value and `size` the norm of the step. The largest
    singular value is 1. The reference is the dense algorithm in float64.
    """
    errors = []
    for outputs, inputs, rank in ((64, 96, 20), (10, 96, 10), (64, 96, 60)):
        left = torch.linalg.qr(torch.randn(outputs, rank).double()).Q
        basis = torch.linalg.qr(torch.randn(inputs, rank).double()).Q
        right = torch.logspace(0, math.log10(smallest), rank).double()[:, None] * basis.T
        layer = treat(nn.Linear(inputs, outputs, bias=False), "wsi", rank=rank).module
        layer.left.data, layer.right.data = left.float(), right.float()
        x, dy = torch.randn(50, inputs), torch.randn(50, outputs)
        dy = dy / torch.linalg.matrix_norm(dy.T @ x, 2)
        layer(x).backward(dy)
        found = layer.gradient.scaled_update(layer.left, layer.right, 1.0, size)
        before = left @ right
        weight = before - size * dy.T.double() @ x.double()
        expected = torch.linalg.qr(weight @ (weight.T @ left)).Q
        expected = expected @ (expected.T @ weight)
        applied = found[0].detach().double() @ found[1].detach().double()
        apart = torch.linalg.matrix_norm(applied - expected, 2)
        errors.append(float(apart / torch.linalg.matrix_norm(expected - before, 2)))
    return max(errors)


def test_the_precision_of_a_wsi_step_is_what_the_page_says():
    torch.manual_seed(0)
    assert all(error_of_a_step(1e-3, size) < 0.005 for size in (1e-4, 1e-2))
    assert error_of_a_step(1e-4, 1e-2) > 0.01
    assert error_of_a_step(1e-4, 1e-4) > 1
