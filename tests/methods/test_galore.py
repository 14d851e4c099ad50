"""GaLore against definitions: the plain optimizers in a rotated basis, and the formula itself."""

import copy
import pickle
from functools import partial

import pytest
import torch
from torch import nn

from ondevice_bench.errors import Refusal
from ondevice_bench.methods.treatment import treat

RATE, DECAY = 0.05, 0.1


@pytest.fixture(params=[(4, 6), (6, 4)], ids=["wide", "tall"])
def network(request):
    torch.manual_seed(0)
    rows, columns = request.param
    return nn.Sequential(nn.Linear(columns, rows), nn.Tanh(), nn.Linear(rows, 3)).double()


@pytest.fixture
def batch(network):
    torch.manual_seed(1)
    return torch.randn(8, network[0].in_features).double(), torch.randint(3, (8,))


def loss_of(network, batch):
    return nn.functional.cross_entropy(network(batch[0]), batch[1])


def chosen(network, **options):
    return treat(network, "galore", layers="pattern:0", **options)


def train(network, optimizer, batch, steps):
    for _ in range(steps):
        loss_of(network, batch).backward()
        optimizer.step()
        optimizer.zero_grad()


def basis_of(optimizer, weight):
    return optimizer.state[weight]["basis"]


def test_with_a_fixed_square_basis_it_is_adamw_on_the_rotated_weight(network, batch):
    """The oracle trains `V = Pᵀ W` (or `W Q`) by torch's AdamW, in a network that uses `P V`."""
    twin = copy.deepcopy(network)
    optimizer = chosen(network, rank=64, every=100, scale=1.0).optimizer(
        lr=RATE, weight_decay=DECAY, kind="adamw"
    )
    train(network, optimizer, batch, 1)
    basis = basis_of(optimizer, network[0].weight)
    assert basis.shape == (4, 4)
    train(network, optimizer, batch, 4)
    is_wide = network[0].out_features == 4
    weight = twin[0].weight.detach()
    rotated = nn.Parameter(basis.T @ weight if is_wide else weight @ basis)
    others = [p for name, p in twin.named_parameters() if name != "0.weight"]
    adamw = torch.optim.AdamW([rotated, *others], lr=RATE, weight_decay=DECAY)

    def whole():
        return basis @ rotated if is_wide else rotated @ basis.T

    for _ in range(5):
        hidden = nn.functional.linear(batch[0], whole(), twin[0].bias)
        nn.functional.cross_entropy(twin[2](torch.tanh(hidden)), batch[1]).backward()
        adamw.step()
        adamw.zero_grad()
    torch.testing.assert_close(network[0].weight, whole(), rtol=1e-12, atol=1e-13)
    for name in ("0.bias", "2.weight", "2.bias"):
        ours, theirs = (net.get_parameter(name) for net in (network, twin))
        torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_with_sgd_inside_and_full_rank_it_is_sgd(network, batch, momentum):
    twin = copy.deepcopy(network)
    ours = chosen(network, rank=64, every=100, scale=1.0).optimizer(
        lr=RATE, weight_decay=0.0, momentum=momentum
    )
    train(network, ours, batch, 5)
    theirs = torch.optim.SGD(twin.parameters(), lr=RATE, momentum=momentum)
    train(twin, theirs, batch, 5)
    for a, b in zip(network.parameters(), twin.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-13)


def test_the_first_step_is_that_of_the_formula(network, batch):
    """The oracle takes the singular vectors by another algorithm."""
    twin = copy.deepcopy(network)
    optimizer = chosen(network, rank=2, every=3, scale=0.25).optimizer(
        lr=RATE, weight_decay=DECAY, kind="adamw"
    )
    train(network, optimizer, batch, 1)
    loss_of(twin, batch).backward()
    weight, gradient = twin[0].weight.detach(), twin[0].weight.grad
    left, _, right = torch.linalg.svd(gradient, full_matrices=False)
    is_wide = len(weight) == 4
    basis = left[:, :2] if is_wide else right[:2].T
    thin = basis.T @ gradient if is_wide else gradient @ basis
    step = thin / (thin.abs() + 1e-8)  # both moments of the first step, without their bias
    update = basis @ step if is_wide else step @ basis.T
    expected = (1 - RATE * DECAY) * weight - 0.25 * RATE * update
    torch.testing.assert_close(network[0].weight.detach(), expected, rtol=1e-6, atol=1e-8)


def test_the_basis_is_renewed_and_the_moments_stay(network, batch):
    optimizer = chosen(network, rank=2, every=2, scale=0.25).optimizer(lr=RATE, kind="adamw")
    weight, bases, moments = network[0].weight, [], []
    for _ in range(4):
        train(network, optimizer, batch, 1)
        bases.append(basis_of(optimizer, weight))
        moments.append(optimizer.state[weight]["step"].item())
    assert bases[0] is bases[1]
    assert bases[2] is bases[3]
    assert not torch.equal(bases[0], bases[2])
    assert moments == [1, 2, 3, 4]


def test_the_state_is_as_small_as_the_projected_gradient(network, batch):
    optimizer = chosen(network, rank=2, every=10, scale=0.25).optimizer(lr=RATE, kind="adamw")
    train(network, optimizer, batch, 1)
    state = optimizer.state[network[0].weight]
    assert state["exp_avg"].numel() == state["exp_avg_sq"].numel() == 2 * 6
    assert state["basis"].numel() == 2 * 4


@pytest.mark.parametrize("kind", ["sgd", "adamw"])
def test_in_backward_it_is_the_same_to_the_bit(network, batch, kind):
    twin = copy.deepcopy(network)
    options = {"rank": 2, "every": 2, "scale": 0.25}
    for net, parts in (
        (network, [("galore", options), ("update_in_backward", {})]),
        (twin, [("galore", options)]),
    ):
        optimizer = treat(net, parts).optimizer(lr=RATE, weight_decay=DECAY, kind=kind)
        train(net, optimizer, batch, 5)
    assert all(map(torch.equal, network.parameters(), twin.parameters()))


def test_it_composes_with_a_method_that_keeps_the_weight(network, batch):
    factored = copy.deepcopy(network)
    parts = [("galore", {"rank": 2}), ("asi", {"rank": 2})]
    optimizer = treat(network, parts).optimizer(lr=RATE, kind="adamw")
    train(network, optimizer, batch, 2)
    assert "basis" in optimizer.state[network[0].weight]
    with pytest.raises(Refusal, match="galore applies to none of the chosen layers"):
        treat(factored, [("galore", {"rank": 2}), ("wsi", {"rank": 2})])


def test_another_optimizer_is_refused_until_merge(network, batch):
    treatment = treat(network, "galore", rank=2)
    stock = torch.optim.AdamW(network.parameters(), lr=RATE)
    with pytest.raises(Refusal, match="galore: this optimizer does not know"):
        train(network, stock, batch, 1)
    treatment.merge()
    train(network, torch.optim.AdamW(network.parameters(), lr=RATE), batch, 1)


def test_layers_without_a_matrix_as_weight_are_refused():
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(4, 2))
    treatment = treat(network, "galore", rank=2)
    assert set(treatment.refusals) == {"0"}
    with pytest.raises(Refusal, match="galore applies to none of the chosen layers: 0 has no"):
        treat(nn.Sequential(nn.Conv2d(3, 4, 3)), "galore", rank=2)


def own_updates(network):
    """The user's loop updates each parameter as soon as backward has its gradient."""

    def update(parameter):
        with torch.no_grad():
            parameter -= RATE * parameter.grad
        parameter.grad = None

    return [p.register_post_accumulate_grad_hook(update) for p in network.parameters()]


def test_hooks_that_could_update_a_weight_are_refused_before_they_do(network, batch):
    treatment = chosen(network, rank=2)
    before = network[0].weight.detach().clone()
    hooks = own_updates(network)
    with pytest.raises(Refusal, match="galore: 0: a hook runs when the gradient of the weight is"):
        loss_of(network, batch)
    assert torch.equal(network[0].weight, before)
    treatment.merge()
    loss_of(network, batch).backward()
    assert not torch.equal(network[0].weight, before)
    assert all(hook.id in p._post_accumulate_grad_hooks for p, hook in
               zip(network.parameters(), hooks, strict=True))  # fmt: skip
    with pytest.raises(Refusal, match="0 has a hook that runs when the gradient of its weight"):
        chosen(network, rank=2)


def by_hand(network, batch, rate=RATE):
    loss_of(network, batch).backward()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.data.add_(parameter.grad, alpha=-rate)
            parameter.grad = None


def test_a_loop_that_updates_weights_itself_is_refused_at_its_next_forward(network, batch):
    chosen(network, rank=2)
    by_hand(network, batch)
    with pytest.raises(Refusal, match="galore: 0: the loop has changed the weight itself"):
        loss_of(network, batch)


def test_gradients_that_the_loop_takes_itself_are_seen(network, batch):
    chosen(network, rank=2)
    weights = list(network.parameters())
    gradients = torch.autograd.grad(loss_of(network, batch), weights)
    with torch.no_grad():
        for weight, gradient in zip(weights, gradients, strict=True):
            weight.sub_(gradient, alpha=RATE)
    with pytest.raises(Refusal, match="galore: 0: the loop has changed the weight itself"):
        loss_of(network, batch)


def of_ones_own(network, batch):
    held = {name: each.detach().clone() for name, each in network.named_parameters()}
    return held, lambda held: loss_of(partial(torch.func.functional_call, network, held), batch)


def test_weights_of_the_loops_own_are_refused_before_they_train(network, batch):
    """The optimizer never sees them, so they would train plainly."""
    chosen(network, rank=2)
    held, loss = of_ones_own(network, batch)
    loss(held)  # without a gradient: as an average of weights is tested
    said = r"galore: 0: the loop gives the layer a weight of its own \(torch.func.functional_call\)"
    with pytest.raises(Refusal, match=said):
        loss({name: each.requires_grad_() for name, each in held.items()})
    with pytest.raises(Refusal, match=said):
        torch.func.grad(loss)({name: each.detach() for name, each in held.items()})


def test_weights_of_the_loops_own_that_are_parameters_are_refused_once_they_change(network, batch):
    chosen(network, rank=2)
    held, loss = of_ones_own(network, batch)
    held = {name: nn.Parameter(each) for name, each in held.items()}
    loss(held).backward()
    with torch.no_grad():
        for weight in held.values():
            weight.sub_(weight.grad, alpha=RATE)
    with pytest.raises(Refusal, match="galore: 0: the loop has changed the weight itself"):
        loss(held)


@pytest.mark.parametrize("trains", [True, False])
def test_a_teacher_between_two_steps_does_not_hide_an_update_of_the_loops_own(
    network, batch, trains
):
    chosen(network, rank=2)
    held, loss = of_ones_own(network, batch)
    held = {name: nn.Parameter(each, requires_grad=trains) for name, each in held.items()}
    by_hand(network, batch)
    loss(held)
    with pytest.raises(Refusal, match="galore: 0: the loop has changed the weight itself"):
        by_hand(network, batch)


def test_a_teacher_with_other_weights_is_no_update_of_the_loops_own(network, batch):
    optimizer = chosen(network, rank=2).optimizer(lr=RATE, accumulate=2)
    held, loss = of_ones_own(network, batch)
    held = {name: nn.Parameter(each + 0.1, requires_grad=False) for name, each in held.items()}
    for _ in range(2):
        (loss_of(network, batch) + loss(held)).backward()
    optimizer.step()


def test_a_copy_that_the_loop_updates_itself_is_refused_too(network, batch):
    treatment = chosen(network, rank=2)
    loss_of(network, batch).backward()
    for twin in (copy.deepcopy(network), pickle.loads(pickle.dumps(network))):
        by_hand(twin, batch)
        with pytest.raises(Refusal, match="galore: 0: the loop has changed the weight itself"):
            by_hand(twin, batch)
    treatment.merge()
    assert not network[0].weight._backward_hooks


def meta_gradients(network, batch):
    """The loss after an inner step, as in meta-learning, goes back to the network's weights."""
    held = dict(network.named_parameters())
    gradients = torch.autograd.grad(loss_of(network, batch), held.values(), create_graph=True)
    made = {
        name: weight - RATE * gradient
        for (name, weight), gradient in zip(held.items(), gradients, strict=True)
    }
    loss_of(partial(torch.func.functional_call, network, made), batch).backward()


def test_weights_that_are_made_from_those_of_the_network_train_them(network, batch):
    other = copy.deepcopy(network)
    meta_gradients(other, batch)
    twin = copy.deepcopy(network)
    for each in (network, twin):
        optimizer = chosen(each, rank=2).optimizer(lr=RATE)
        if each is network:
            meta_gradients(each, batch)
        else:
            for weight, plain in zip(each.parameters(), other.parameters(), strict=True):
                weight.grad = plain.grad
        optimizer.step()
    assert all(map(torch.equal, network.parameters(), twin.parameters()))


def test_a_hook_on_the_gradient_that_updates_the_weight_is_refused_too(network, batch):
    chosen(network, rank=2)
    weight = network[0].weight

    def update(gradient):
        weight.data.add_(gradient, alpha=-RATE)

    weight.register_hook(update)
    loss_of(network, batch).backward()
    with pytest.raises(Refusal, match="galore: 0: the loop has changed the weight itself"):
        loss_of(network, batch)


def test_a_weight_that_two_layers_share_is_watched_once(batch):
    network = nn.Sequential(nn.Linear(6, 6), nn.Linear(6, 6))
    network[1].weight = network[0].weight
    treatment = treat(network, "galore", rank=2)
    optimizer = treatment.optimizer(lr=RATE)
    for _ in range(2):
        network(torch.randn(3, 6)).sum().backward()
        optimizer.step()
        optimizer.zero_grad()


def test_a_treated_network_can_be_copied_and_saved(network, batch):
    chosen(network, rank=2)
    loss_of(network, batch)
    for other in (copy.deepcopy(network), pickle.loads(pickle.dumps(network))):
        loss_of(other, batch)
        other[0].weight.register_post_accumulate_grad_hook(lambda _: None)
        with pytest.raises(Refusal, match="a hook runs when"):
            loss_of(other, batch)


def test_weights_that_are_loaded_or_change_after_a_step_are_not_refused(network, batch):
    treatment = chosen(network, rank=2)
    loss_of(network, batch)  # a forward without a backward, then a file is loaded
    with torch.no_grad():
        network[0].weight.mul_(0.5)
    train(network, treatment.optimizer(lr=RATE), batch, 2)
    by_hand(network, batch, rate=0.0)
    with torch.no_grad():
        network[0].weight.mul_(0.5)  # as an average of weights does
    loss_of(network, batch)
    treatment.merge()
    assert not network[0].weight._backward_hooks
    by_hand(network, batch)
    loss_of(network, batch)


def test_a_network_that_becomes_another_type_after_a_backward_is_not_refused(network, batch):
    chosen(network, rank=2)
    loss_of(network, batch).backward()
    network.float()
    loss_of(network, (batch[0].float(), batch[1]))


@pytest.mark.parametrize(("steps", "counted"), [(1, "has"), (2, "has not"), (3, "has")])
def test_a_note_says_whether_the_last_step_has_renewed_the_bases(network, batch, steps, counted):
    treatment = chosen(network, rank=2, every=2)
    train(network, treatment.optimizer(lr=RATE), batch, steps)
    (note,) = treatment.notes()
    assert note == (
        "each basis is renewed once in 2 steps, which takes a decomposition of the gradient: the "
        f"step whose FLOPs are counted {counted} one"
    )


def test_there_is_no_note_if_every_step_is_the_same(network, batch):
    treatment = chosen(network, rank=2, every=1)
    train(network, treatment.optimizer(lr=RATE), batch, 2)
    assert treatment.notes() == []
