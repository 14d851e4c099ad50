"""Updates in backward: the same weights as the ordinary step, and no gradient that stays."""

import copy
import math

import pytest
import torch
from torch import nn
from torch.nn.utils import clip_grad_norm_, clip_grad_value_
from torch.utils.checkpoint import checkpoint

from ondevice_bench.errors import Refusal
from ondevice_bench.methods.treatment import treat
from ondevice_bench.specs.layout import ModelLayout

IN_BACKWARD = ("update_in_backward", {})


class Tied(nn.Module):
    """One weight is used twice, and one branch has no gradient."""

    def __init__(self):
        super().__init__()
        self.first = nn.Linear(6, 6)
        self.norm = nn.LayerNorm(6)
        self.again = nn.Linear(6, 6)
        self.again.weight = self.first.weight
        self.head = nn.Linear(6, 4)
        self.unused = nn.Linear(6, 6)

    def forward(self, x):
        return self.head(self.again(torch.tanh(self.norm(self.first(x)))))


@pytest.fixture
def network():
    torch.manual_seed(0)
    return Tied()


@pytest.fixture
def batch():
    torch.manual_seed(1)
    return torch.randn(8, 6), torch.randint(4, (8,))


def loss_of(network, batch):
    return nn.functional.cross_entropy(network(batch[0]), batch[1])


def train(treatment, batch, steps=4, **options):
    optimizer = treatment.optimizer(lr=0.1, weight_decay=0.01, **options)
    for _ in range(steps):
        treatment.backward(batch)
        yield optimizer
        optimizer.step()
        optimizer.zero_grad()


def weights(network):
    return [parameter.detach() for parameter in network.parameters()]


def has_numbers(gradient):
    return gradient is not None and gradient.untyped_storage().nbytes() > 0


@pytest.mark.parametrize(
    "options", [{}, {"momentum": 0.9}, {"kind": "adamw"}], ids=["sgd", "momentum", "adamw"]
)
@pytest.mark.parametrize(
    "others",
    [
        (),
        (("microbatch", {"slices": 3}),),
        (("asi", {"rank": 2}),),
        (("wasi", {"rank": 2, "update": "factors"}),),
        (("lora", {"rank": 2, "alpha": 2.0}),),
        (("saved_bf16", {}),),
    ],
    ids=lambda parts: "+".join(name for name, _ in parts) or "alone",
)
def test_the_weights_are_those_of_the_ordinary_step_to_the_bit(network, batch, others, options):
    plain = treat(copy.deepcopy(network), [*others] or "vanilla")
    early = treat(network, [*others, IN_BACKWARD] if others else "update_in_backward")
    for _ in train(plain, batch, **options):
        pass
    for optimizer in train(early, batch, **options):
        assert not any(has_numbers(parameter.grad) for parameter in early.module.parameters())
        assert optimizer.updates_in_backward
    pairs = zip(weights(early.module), weights(plain.module), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)


def test_a_schedule_of_the_rate_holds(network, batch):
    networks = []
    for method in ("vanilla", "update_in_backward"):
        treatment = treat(copy.deepcopy(network), method)
        networks.append(treatment.module)
        optimizer = treatment.optimizer(lr=0.1)
        schedule = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.5)
        for _ in range(3):
            loss_of(treatment.module, batch).backward()
            optimizer.step()
            schedule.step()
            optimizer.zero_grad()
    assert all(map(torch.equal, *map(weights, networks)))


def test_gradients_are_never_all_alive_at_the_same_time(batch):
    deep = nn.Sequential(*(nn.Linear(6, 6) for _ in range(8)), nn.Linear(6, 4))
    treatment = treat(deep, "update_in_backward")
    optimizer = treatment.optimizer(lr=0.1)
    alive = []
    for parameter in deep.parameters():
        parameter.register_hook(
            lambda _: alive.append(sum(has_numbers(p.grad) for p in deep.parameters()))
        )
    treatment.backward(batch)
    optimizer.step()
    assert len(alive) == 18
    assert max(alive) <= 1


def test_with_checkpoint_the_second_forward_sees_the_old_weights(batch):
    torch.manual_seed(0)
    deep = nn.Sequential(nn.Sequential(nn.Linear(6, 6), nn.Tanh()), nn.Linear(6, 4))
    parts = [("checkpoint", {"scope": "blocks"})]
    layout = {"layout": _layout()}
    plain = treat(copy.deepcopy(deep), parts, **layout)
    early = treat(deep, [*parts, IN_BACKWARD], **layout)
    for treatment in (plain, early):
        for _ in train(treatment, batch):
            pass
    assert all(map(torch.equal, weights(early.module), weights(plain.module)))


def _layout():
    from ondevice_bench.specs.layout import ModelLayout

    return ModelLayout(blocks="0", head="1")


def test_merge_gives_the_parameters_back_to_any_optimizer(network, batch):
    treatment = treat(network, "update_in_backward")
    treatment.optimizer(lr=0.1)
    plain = treatment.merge()
    optimizer = torch.optim.SGD(plain.parameters(), lr=0.1)
    loss_of(plain, batch).backward()
    assert plain.head.weight.grad is not None
    before = copy.deepcopy(weights(plain))
    optimizer.step()
    assert not torch.equal(before[0], weights(plain)[0])


def test_the_last_optimizer_updates_and_no_other(network, batch):
    twin = copy.deepcopy(network)
    treatment = treat(network, "update_in_backward")
    for rate in (100.0, 0.1):
        treatment.optimizer(lr=rate)
    treatment.backward(batch)
    plain = treat(twin, "vanilla")
    optimizer = plain.optimizer(lr=0.1)
    plain.backward(batch)
    optimizer.step()
    assert all(map(torch.equal, weights(network), weights(twin)))


@pytest.mark.parametrize("scope", ["blocks", "attention"])
def test_what_runs_again_in_backward_finds_the_weights_of_its_first_run(scope):
    torch.manual_seed(0)
    layer = nn.TransformerEncoderLayer(6, 2, 8, dropout=0.0, batch_first=True, norm_first=True)
    twin = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
    network = copy.deepcopy(twin)
    parts = [("checkpoint", {"scope": scope}), IN_BACKWARD]
    treatment = treat(network, parts, layout=ModelLayout(blocks="layers.*"))
    plain, x = treat(twin, "vanilla"), torch.randn(3, 4, 6)
    for each in (treatment, plain):
        optimizer = each.optimizer(lr=0.1, weight_decay=0.1)
        for _ in range(2):
            each.backward(x, lambda model, x: model(x).square().mean())
            optimizer.step()
            optimizer.zero_grad()
    assert all(map(torch.equal, weights(network), weights(twin)))


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"clip": 2.0}, "global norm is known only when all gradients exist at the same time"),
        ({"accumulate": 2}, "each backward pass updates, so no gradients can be added up"),
    ],
)
def test_what_needs_all_gradients_is_refused(network, options, reason):
    with pytest.raises(Refusal, match=reason):
        treat(network, "update_in_backward").optimizer(lr=0.1, **options)


def test_the_subspace_update_is_refused_beside_it(network):
    treatment = treat(network, [("wsi", {"rank": 2}), IN_BACKWARD])
    with pytest.raises(Refusal, match="needs the gradients of the whole step"):
        treatment.optimizer(lr=0.1)


def test_another_optimizer_is_refused_in_its_first_step(network, batch):
    treat(network, "update_in_backward")
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
    loss_of(network, batch).backward()
    before = copy.deepcopy(weights(network))
    with pytest.raises(Refusal, match="update_in_backward: this optimizer does not know"):
        optimizer.step()
    assert all(map(torch.equal, weights(network), before))


def test_gradients_of_two_backward_passes_are_not_added_up(network, batch):
    treatment = treat(network, "update_in_backward")
    optimizer = treatment.optimizer(lr=0.1)
    loss_of(network, batch).backward()
    with pytest.raises(
        Refusal, match="a second gradient arrived for weights that are updated already"
    ):
        loss_of(network, batch).backward()
    with pytest.raises(Refusal, match="clearing the gradients does not undo it"):
        optimizer.zero_grad()


@pytest.mark.parametrize("clip", [clip_grad_norm_, clip_grad_value_])
def test_gradients_that_are_applied_are_not_clipped(network, batch, clip):
    treatment = treat(network, "update_in_backward")
    treatment.optimizer(lr=0.1)
    loss_of(network, batch).backward()
    with pytest.raises(Refusal, match="has applied the gradients already, so they cannot be clip"):
        clip(network.parameters(), 0.1)
    assert clip(network.parameters(), math.inf).isnan()  # loops ask for the norm in this way
    other = nn.Linear(6, 4)  # another network is clipped as always
    loss_of(other, batch).backward()
    clip(other.parameters(), 0.01)
    assert max(each.grad.abs().max() for each in other.parameters()) <= 0.01


def test_a_grad_scaler_is_refused_before_backward(network, batch):
    treatment = treat(network, "update_in_backward")
    treatment.optimizer(lr=0.1)
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
    before = copy.deepcopy(weights(network))
    with pytest.raises(Refusal, match="a GradScaler scales gradients, and backward applies them"):
        scaler.scale(loss_of(network, batch)).backward()
    assert all(map(torch.equal, weights(network), before))
    other = nn.Linear(6, 4)
    scaler.scale(loss_of(other, batch)).backward()  # another network may have one
    off = torch.amp.GradScaler("cpu", enabled=False)
    off.scale(loss_of(network, batch)).backward()


def cleared_by_the_network(network):
    network.zero_grad()


def replaced(network):
    network.head.weight.grad = torch.zeros_like(network.head.weight)


def scaled(network):
    torch._foreach_mul_([each.grad for each in network.parameters() if each.grad is not None], 0.5)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (scaled, "code cannot read or change"),
        (lambda network: network.head.bias.grad.add_(network.head.bias), "code cannot read or ch"),
        (lambda network: network.head.bias.grad.data.clamp_(-1, 1), "code cannot read or change"),
        (lambda network: network.head.bias.grad.norm(), "code cannot read or change"),
        (lambda network: network.head.bias.grad.numpy(), "code cannot read or change"),
        (lambda network: torch.nn.utils.get_total_norm([network.head.bias.grad]), "code cannot"),
        (cleared_by_the_network, "other code cleared or replaced a gradient"),
        (replaced, "other code cleared or replaced a gradient"),
    ],
)
def test_a_loop_that_uses_gradients_after_backward_is_refused(network, batch, change, reason):
    treatment = treat(network, "update_in_backward")
    optimizer = treatment.optimizer(lr=0.1)
    loss_of(network, batch).backward()

    def goes_on():
        change(network)
        optimizer.step()

    with pytest.raises(Refusal, match=reason):
        goes_on()


def test_gradients_that_are_not_cleared_are_refused(network, batch):
    treatment = treat(network, "update_in_backward")
    optimizer = treatment.optimizer(lr=0.1)
    loss_of(network, batch).backward()
    optimizer.step()
    before = copy.deepcopy(weights(network))
    for again in (
        loss_of(network, batch).backward,
        network.head.bias.grad.sum,
        *[optimizer.step] * 2,
    ):
        with pytest.raises(Refusal, match=r"step\(\) were not cleared|code cannot read"):
            again()
    assert all(map(torch.equal, weights(network), before))
    network.zero_grad()
    loss_of(network, batch).backward()
    optimizer.step()
    assert treatment.merge().head.bias.grad is None


def test_a_gradient_that_the_loop_sets_itself_is_applied_as_it_is(network, batch):
    twin = copy.deepcopy(network)
    found, expected = treat(network, "update_in_backward"), treat(twin, "vanilla")
    for treatment in (found, expected):
        optimizer = treatment.optimizer(lr=0.1, momentum=0.9)
        for _ in range(2):
            trained = [treatment.module.head.weight, treatment.module.first.weight]
            gradients = torch.autograd.grad(loss_of(treatment.module, batch), trained)
            for each, gradient in zip(trained, gradients, strict=True):
                each.grad = 0.5 * gradient
            optimizer.step()
            optimizer.zero_grad()
    assert all(map(torch.equal, weights(network), weights(twin)))


class Branching(Tied):
    """Each second step leaves out a layer."""

    calls = 0

    def forward(self, x):
        self.calls += 1
        return super().forward(x if self.calls % 2 else self.unused(x))


def kept_by_the_optimizer(network, optimizer):
    optimizer.zero_grad(set_to_none=False)


def kept_by_the_network(network, optimizer):
    network.zero_grad(set_to_none=False)


def kept_and_then_taken_away(network, optimizer):
    optimizer.zero_grad(set_to_none=False)
    if network.calls % 2 == 0:
        network.zero_grad()


@pytest.mark.parametrize(
    "clear", [kept_by_the_optimizer, kept_by_the_network, kept_and_then_taken_away]
)
@pytest.mark.parametrize("slices", [1, 3])
def test_zeros_in_the_place_of_gradients_decay_until_they_are_taken_away(batch, clear, slices):
    torch.manual_seed(0)
    twin = Branching()
    parts = [("microbatch", {"slices": slices})]
    early = treat(copy.deepcopy(twin), [*parts, IN_BACKWARD])
    plain = treat(twin, parts)
    for treatment in (plain, early):
        optimizer = treatment.optimizer(lr=0.1, weight_decay=0.1, momentum=0.9)
        for _ in range(4):
            treatment.backward(batch)
            optimizer.step()
            clear(treatment.module, optimizer)
        treatment.merge()
        clear(treatment.module, optimizer)
    assert all(map(torch.equal, weights(early.module), weights(plain.module)))
    zeros = [[p.grad is not None for p in each.module.parameters()] for each in (early, plain)]
    assert zeros[0] == zeros[1]


def test_zeros_are_refused_before_the_step(network, batch):
    treatment = treat(network, "update_in_backward")
    treatment.optimizer(lr=0.1)
    loss_of(network, batch).backward()
    with pytest.raises(Refusal, match="clearing the gradients does not undo it"):
        network.zero_grad(set_to_none=False)


class Gated(nn.Module):
    """A checkpointed part asks a later layer, without its gradient."""

    def __init__(self):
        super().__init__()
        self.first, self.later = nn.Linear(6, 6), nn.Linear(6, 6)

    def part(self, x):
        y = torch.tanh(self.first(x))
        with torch.no_grad():
            gate = torch.sigmoid(self.later(y))
        return y * gate

    def forward(self, x):
        return self.later(checkpoint(self.part, x, use_reentrant=False))


def test_a_second_run_with_a_weight_that_is_updated_already_is_refused(batch):
    network = Gated()
    treatment = treat(network, "update_in_backward")
    optimizer = treatment.optimizer(lr=0.1)
    before = network.first.weight.clone()
    with pytest.raises(Refusal, match=r"uses a Linear that is updated already: leave this layer"):
        network(batch[0]).square().mean().backward()
    assert torch.equal(network.first.weight, before)
    optimizer.step()
    assert not torch.nn.modules.module._global_forward_pre_hooks
