"""LoRA, checkpointing, microbatches, bfloat16 storage, and their compositions."""

import copy

import pytest
import torch
from torch import nn

from ondevice_bench.measure.activations import saved_bytes
from ondevice_bench.methods.treatment import treat
from ondevice_bench.models import vit
from ondevice_bench.models.layers import NoSuchPart
from ondevice_bench.specs import registry
from tests.methods.conftest import difference, randn

LAYOUT = registry.model("vit_b_32").layout


class Step:
    """A treated network as a subject of measurement."""

    parts = 1

    def __init__(self, treatment, x):
        self.treatment, self.x = treatment, x

    def forward(self, part=0):
        return self.treatment.share_of_loss(self.x, lambda model, x: model(x).square().mean())

    def backward(self, loss):
        loss.backward()

    def packed_tensors(self):
        return self.treatment.packed_tensors()

    def resident(self):
        yield from self.treatment.module.parameters()
        yield from self.treatment.module.buffers()
        yield self.x


def small_vit(depth=2):
    model = vit.construct(classes=10, depth=depth, image_size=64)
    vit.initialise(model, 0)
    return model.double()


def trained_gradients(model, x):
    model.zero_grad()
    model(x).square().mean().backward()
    return {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}


@pytest.mark.parametrize(("scope", "share"), [("blocks", 0.2), ("mlp", 0.75), ("attention", 0.75)])
def test_checkpointing_changes_no_gradient_and_keeps_only_inputs(scope, share):
    model = small_vit()
    x = randn(3, 3, 64, 64)
    exact = trained_gradients(model, x)
    plain = saved_bytes(Step(treat(model, "vanilla", layout=LAYOUT), x))
    names = list(model.state_dict())
    treatment = treat(model, "checkpoint", layout=LAYOUT, scope=scope)
    assert list(model.state_dict()) == names
    found = trained_gradients(model, x)
    assert found.keys() == exact.keys()
    assert all(torch.equal(found[name], exact[name]) for name in exact)
    kept = saved_bytes(Step(treatment, x))
    assert kept < share * plain
    assert [type(m) for m in treatment.merge().encoder.layers] == [vit.EncoderBlock] * 2


def test_checkpointed_blocks_store_their_input_and_the_state_of_the_generator():
    model = nn.Sequential(nn.Sequential(nn.Linear(8, 32), nn.GELU(), nn.Linear(32, 8)))
    from ondevice_bench.specs.layout import ModelLayout

    x = randn(4, 8)
    treatment = treat(model.double(), "checkpoint", layout=ModelLayout(blocks="0"))
    # the input is the batch, which is resident; the output is squared, which saves it
    assert saved_bytes(Step(treatment, x)) == torch.get_rng_state().numel() + 4 * 8 * 8


def test_dropout_draws_the_same_again_and_statistics_move_once():
    from ondevice_bench.specs.layout import ModelLayout

    torch.manual_seed(0)
    block = nn.Sequential(nn.Linear(6, 6), nn.BatchNorm1d(6), nn.Dropout(0.5))
    plain = nn.Sequential(copy.deepcopy(block)).double()
    ours = nn.Sequential(block).double()
    treat(ours, "checkpoint", layout=ModelLayout(blocks="0"))
    x = randn(16, 6)
    for model in (plain, ours):
        torch.manual_seed(7)
        model(x).square().sum().backward()
        model.drawn = torch.rand(1)
    assert plain.drawn == ours.drawn
    for a, b in zip(plain.parameters(), ours.parameters(), strict=True):
        assert torch.equal(a.grad, b.grad)
    for a, b in zip(plain.buffers(), ours.buffers(), strict=True):
        assert torch.equal(a, b)


def test_a_network_without_the_part_is_told():
    with pytest.raises(NoSuchPart, match="checkpoint: this network declares no blocks"):
        treat(nn.Sequential(nn.Linear(2, 2)), "checkpoint")


def test_the_state_of_asi_advances_once_under_recomputation():
    torch.manual_seed(0)
    x = randn(3, 3, 64, 64)
    alone, recomputed = small_vit(1), small_vit(1)
    parts = [("asi", {"rank": 4})]
    treat(alone, parts, "mlp", layout=LAYOUT)
    treat(recomputed, [*parts, ("checkpoint", {})], "mlp", layout=LAYOUT)
    for _ in range(3):
        first, second = trained_gradients(alone, x), trained_gradients(recomputed, x)
        assert first.keys() == second.keys()
        assert all(difference(second[name], first[name]) <= 1e-10 for name in first)
    states = [
        [b for n, b in model.state_dict().items() if "basis" in n] for model in (alone, recomputed)
    ]
    assert len(states[0]) == 6
    for a, b in zip(*states, strict=True):
        assert difference(a, b) <= 1e-10


def test_wasi_composes_with_checkpointing_in_any_order():
    x = randn(3, 3, 64, 64)
    results = []
    for parts in (
        [("wasi", {"rank": 4})],
        [("wasi", {"rank": 4}), ("checkpoint", {"scope": "mlp"})],
        [("checkpoint", {"scope": "mlp"}), ("wasi", {"rank": 4})],
    ):
        model = small_vit(1)
        treatment = treat(model, parts, "mlp", layout=LAYOUT)
        optimizer = treatment.optimizer(lr=0.1, clip=1.0)
        for _ in range(2):
            model(x).square().mean().backward()
            optimizer.step()
            optimizer.zero_grad()
        results.append(model.encoder.layers[0].mlp[0].dense())
    assert difference(results[1], results[0]) <= 1e-9
    assert difference(results[2], results[0]) <= 1e-9


def test_saved_bf16_halves_float32_and_counts_what_it_packs():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(16, 64), nn.GELU(), nn.Linear(64, 64), nn.GELU())
    x = torch.randn(8, 16)
    plain = saved_bytes(Step(treat(copy.deepcopy(model), "vanilla"), x))
    exact = trained_gradients(copy.deepcopy(model), x)
    treatment = treat(model, "saved_bf16")
    step = Step(treatment, x)
    # the batch itself is resident when it is exact; packed, it is a copy
    assert saved_bytes(step) == plain // 2 + x.numel() * 2
    model.zero_grad()
    step.backward(step.forward())
    for name, parameter in model.named_parameters():
        assert 0 < difference(parameter.grad, exact[name]) < 0.02
    assert list(treatment.packed_tensors()) == []


def test_saved_bf16_packs_what_three_layers_share_once():
    class Shared(nn.Module):
        def __init__(self):
            super().__init__()
            self.q, self.k, self.v = (nn.Linear(16, 16) for _ in range(3))

        def forward(self, x):
            y = x * 2
            return self.q(y) + self.k(y) + self.v(y)

    treatment = treat(Shared(), "saved_bf16")
    x = torch.randn(4, 16, requires_grad=True)
    loss = treatment.module(x).sum()
    packed = [t for t in treatment.packed_tensors() if t.dtype == torch.bfloat16]
    assert [tuple(t.shape) for t in packed] == [(4, 16)]
    loss.backward()


def test_saved_bf16_never_mistakes_one_tensor_for_another_at_the_same_address():
    # each exp saves its output, which dies once it is packed: its address is free again
    treatment = treat(nn.Identity(), "saved_bf16")
    x = torch.randn(64, requires_grad=True)

    def loss(_, y):
        for _ in range(20):
            y = torch.exp(-y.square())
        return y.sum()

    treatment.backward(x, loss)
    found, x.grad = x.grad, None
    loss(None, x).backward()
    assert difference(found, x.grad) < 0.2


def test_lora_starts_as_the_base_and_trains_only_the_detour_and_the_bias():
    torch.manual_seed(0)
    layer = nn.Linear(6, 5).double()
    model = nn.Sequential(copy.deepcopy(layer))
    treat(model, "lora", rank=2, alpha=6.0)
    x, dy = randn(4, 3, 6), randn(4, 3, 5, seed=2)
    assert torch.equal(model(x), layer(x))
    (lora,) = model
    with torch.no_grad():
        lora.up.copy_(randn(5, 2, seed=3))
    model(x).backward(dy)
    assert lora.base.weight.grad is None
    g = dy.reshape(-1, 5).T @ x.reshape(-1, 6)
    assert difference(lora.up.grad, 3.0 * g @ lora.down.detach().T) <= 1e-12
    assert difference(lora.down.grad, 3.0 * lora.up.detach().T @ g) <= 1e-12
    assert difference(lora.base.bias.grad, dy.sum((0, 1))) <= 1e-12


@pytest.mark.parametrize("plain", [nn.Linear(6, 5), nn.Conv2d(3, 4, (2, 3), 2, 1, bias=False)])
def test_lora_has_what_code_reads_of_a_plain_layer(plain):
    plain = plain.double()
    convolves = isinstance(plain, nn.Conv2d)
    x = randn(2, 3, 6, 6) if convolves else randn(4, 6)
    model = nn.Sequential(copy.deepcopy(plain))
    treatment = treat(model, "lora", rank=2, alpha=6.0)
    (lora,) = model
    with torch.no_grad():
        lora.up.copy_(torch.randn_like(lora.up))

    def by_hand():
        if convolves:
            return plain._conv_forward(x, lora.weight, lora.bias)
        return nn.functional.linear(x, lora.weight, lora.bias)

    assert difference(by_hand(), lora(input=x)) <= 1e-12
    factors = lora.up, lora.down
    read = torch.autograd.grad(by_hand().square().sum(), factors)
    called = torch.autograd.grad(lora(x).square().sum(), factors)
    assert all(difference(a, b) <= 1e-12 for a, b in zip(read, called, strict=True))
    assert (lora.bias is None) == (plain.bias is None)
    weight = lora.weight.detach()
    assert weight.shape == plain.weight.shape
    assert torch.equal(treatment.merge()[0].weight, weight)


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (nn.Linear(6, 5), (4, 3, 6)),
        (nn.Conv2d(6, 5, 3, 2, 1), (2, 6, 7, 5)),
        (nn.Conv2d(6, 5, 3, padding="same", dilation=2), (2, 6, 7, 5)),
    ],
)
def test_lora_fa_is_lora_of_which_the_first_matrix_has_no_gradient(layer, shape):
    steps = []
    for method in ("lora", "lora_fa"):
        torch.manual_seed(0)
        model = nn.Sequential(copy.deepcopy(layer)).double()
        treat(model, method, rank=2, alpha=6.0)
        with torch.no_grad():
            model[0].up.copy_(randn(5, 2, seed=3))
        x = randn(*shape).requires_grad_()
        y = model(x)
        y.backward(randn(*y.shape, seed=2))
        steps.append((model[0], y, x.grad))
    (full, y, dx), (frozen, found, gradient) = steps
    assert torch.equal(full.down, frozen.down)
    assert difference(found, y) <= 1e-12
    assert difference(gradient, dx) <= 1e-12
    assert difference(frozen.up.grad, full.up.grad) <= 1e-12
    assert difference(frozen.bias.grad, full.bias.grad) <= 1e-12
    assert full.down.grad is not None
    assert frozen.down.grad is None


def test_an_average_of_networks_with_lora_fa_is_the_average_of_their_weights():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 5)).double()
    treatment = treat(model, "lora_fa", rank=2, alpha=6.0)
    averaged = torch.optim.swa_utils.AveragedModel(model)
    merged = []
    for seed in range(3):
        with torch.no_grad():
            model[0].up.copy_(randn(5, 2, seed=seed))
        averaged.update_parameters(model)
        merged.append(copy.deepcopy(treatment).merge()[0].weight)
    assert difference(averaged.module[0].weight, torch.stack(merged).mean(0)) <= 1e-12


@pytest.mark.parametrize("method", ["lora", "lora_fa"])
def test_lora_counts_as_called_in_training_alone(method):
    model = nn.Sequential(nn.Linear(4, 4))
    treatment = treat(model, method, rank=2, alpha=6.0)
    x = torch.randn(2, 4)
    with torch.no_grad():
        model(x)
    model.eval()(x)
    assert treatment.not_called == ("0",)
    model.train()(x)
    assert treatment.not_called == ()


def test_two_methods_that_replace_layers_are_refused():
    with pytest.raises(ValueError, match="cannot be composed"):
        treat(nn.Sequential(nn.Linear(4, 4)), [("asi", {"rank": 2}), ("svd", {"rank": 2})])
