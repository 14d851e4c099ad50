"""Methods that surround the forward of a network work through the network alone."""

import copy
import inspect
import pickle
import threading
from contextlib import contextmanager

import pytest
import torch
from torch import nn

from ondevice_bench import treat
from ondevice_bench.errors import Refusal
from ondevice_bench.methods.method import Method
from ondevice_bench.methods.training_forward import TrainingForward
from tests.methods.conftest import difference


class Chain(nn.Module):
    """A network with a signature of its own; it can fail."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.first, self.second = nn.Linear(6, 16), nn.Linear(16, 3)

    def forward(self, x, *, error=None):
        y = torch.exp(-self.first(x).square())
        if error is not None:
            raise error
        return self.second(y)


def gradients(network, x):
    network.zero_grad()
    network(x).square().sum().backward()
    return [p.grad.clone() for p in network.parameters()]


@pytest.fixture
def x():
    return torch.randn(8, 6, generator=torch.Generator().manual_seed(1))


def packs(network, x):
    """Whether a training forward rounds what it saves."""
    exact, found = gradients(Chain(), x), gradients(network, x)
    errors = [difference(a, b) for a, b in zip(found[:2], exact[:2], strict=True)]
    assert max(errors) < 0.05
    return min(errors) > 0


def test_saved_bf16_needs_no_more_than_the_call_of_the_network(x):
    network = Chain()
    treatment = treat(network, "saved_bf16")
    y = network(x)
    packed = [t for t in treatment.packed_tensors() if t.dtype == torch.bfloat16]
    assert (8, 6) in {tuple(t.shape) for t in packed}
    y.sum().backward()
    assert packs(network, x)
    assert list(treatment.packed_tensors()) == []


def test_a_call_inside_the_context_of_the_step_packs_no_tensor_twice(x):
    network = Chain()
    treatment = treat(network, "saved_bf16")
    alone = network(x)
    count = len(list(treatment.packed_tensors()))
    del alone
    loss = treatment.share_of_loss(x, lambda network, x: network(x).sum())
    assert len(list(treatment.packed_tensors())) == count
    loss.backward()


def test_two_forwards_before_one_backward_are_both_packed(x):
    network = Chain()
    treatment = treat(network, "saved_bf16")
    first = network(x)
    count = len(list(treatment.packed_tensors()))
    second = network(x.flip(0))
    assert len(list(treatment.packed_tensors())) == 2 * count
    (first + second).sum().backward()


@pytest.mark.parametrize("how", ["evaluation", "no_grad"])
def test_evaluation_packs_nothing(x, how):
    network = Chain()
    treatment = treat(network, "saved_bf16")
    if how == "evaluation":
        network.eval()
        y = network(x)
    else:
        with torch.no_grad():
            y = network(x)
    assert list(treatment.packed_tensors()) == []
    assert torch.equal(y, Chain()(x))


@pytest.mark.parametrize("error", [ValueError("ended"), KeyboardInterrupt()])
def test_a_forward_that_ends_in_an_error_leaves_no_hooks(x, error):
    network = Chain()
    treat(network, "saved_bf16")
    with pytest.raises(type(error)):
        network(x, error=error)
    plain = Chain()
    assert not packs(plain, x)
    assert packs(network, x)


def test_copies_pack_as_well_and_merge_takes_it_away(x):
    network = Chain()
    treatment = treat(network, "saved_bf16")
    for twin in (copy.deepcopy(network), pickle.loads(pickle.dumps(network))):
        assert type(twin) is type(network)
        assert packs(twin, x)
    twin = copy.deepcopy(treatment)
    assert type(twin.merge()) is Chain
    assert packs(network, x)
    assert treatment.merge() is network
    assert type(network) is Chain
    assert vars(network).keys() == vars(Chain()).keys()
    assert not packs(network, x)


def test_the_network_keeps_its_names_and_its_signature():
    network, plain = Chain(), Chain()
    treat(network, "saved_bf16")
    assert repr(network) == repr(plain)
    assert list(network.state_dict()) == list(plain.state_dict())
    assert inspect.signature(network.forward) == inspect.signature(plain.forward)
    assert isinstance(network, Chain)


@pytest.mark.parametrize("first", [0, 1])
def test_a_network_that_is_one_replaced_layer_packs_too(first):
    methods = [("asi", {"rank": 2}), ("saved_bf16", {})]
    treatment = treat(nn.Linear(6, 3), [methods[first], methods[1 - first]])
    treatment.module(torch.randn(4, 6)).sum().backward()
    y = treatment.module(torch.randn(4, 6))
    assert any(t.dtype == torch.bfloat16 for t in treatment.packed_tensors())
    y.sum().backward()
    assert type(treatment.merge()) is nn.Linear


def test_a_forward_that_other_code_has_replaced_is_refused():
    network = Chain()
    network.forward = lambda x: x
    with pytest.raises(Refusal, match=r"^this Chain has a `forward` of its own beside that of its"):
        treat(network, "saved_bf16")


def test_a_method_without_a_context_leaves_the_class_of_the_network():
    network = Chain()
    treat(network, "lora", rank=2)
    assert type(network) is Chain


def mean_loss(network, batch):
    inputs, targets = batch
    return (network(inputs) - targets).square().mean()


@pytest.fixture
def batch(x):
    return x.double(), torch.randn(8, 3, dtype=torch.float64)


@pytest.mark.parametrize("slices", [1, 2, 3, 8, 20])
def test_backward_leaves_the_gradients_of_the_whole_batch(batch, slices):
    plain, network = Chain().double(), Chain().double()
    expected = mean_loss(plain, batch)
    expected.backward()
    seen = []
    network.first.register_forward_hook(lambda _, inputs, output: seen.append(len(inputs[0])))
    found = treat(network, "microbatch", slices=slices).backward(batch, mean_loss)
    assert len(seen) == min(slices, 8)
    assert sum(seen) == 8
    assert difference(found, expected.detach()) <= 1e-12
    assert not found.requires_grad
    for a, b in zip(network.parameters(), plain.parameters(), strict=True):
        assert difference(a.grad, b.grad) <= 1e-12


def test_backward_cuts_every_tensor_of_a_structure(batch):
    inputs, targets = batch
    network = Chain().double()

    def loss(network, part):
        (both,) = part["inputs"]
        assert len(both) == len(part["targets"]) == 4
        return mean_loss(network, (both, part["targets"]))

    treatment = treat(network, "microbatch", slices=2)
    treatment.backward({"inputs": [inputs], "targets": targets}, loss)


@pytest.mark.parametrize("other", [torch.ones(()), torch.ones(3, 3), None, "text"])
def test_a_batch_that_cannot_be_cut_is_refused(batch, other):
    treatment = treat(Chain().double(), "microbatch", slices=2)
    with pytest.raises(Refusal, match="which must be the number of examples in each of its entr"):
        treatment.backward((*batch, other), mean_loss)


def test_other_methods_take_the_batch_as_a_whole(batch):
    network = Chain().double()
    treatment = treat(network, "asi", fraction=1.0)
    found = treatment.backward((*batch, None), lambda network, all_: mean_loss(network, all_[:2]))
    assert difference(found, mean_loss(Chain().double(), batch).detach()) <= 1e-12


@pytest.mark.parametrize("left_out", [True, False])
def test_slices_of_targets_that_cross_entropy_leaves_out_are_refused(batch, left_out):
    treatment = treat(Chain().double(), "microbatch", slices=2)
    x, targets = batch[0], torch.zeros(len(batch[0]), dtype=torch.long)
    targets[0] = -100 if left_out else 1
    if not left_out:
        treatment.backward((x, targets))
        return
    with pytest.raises(Refusal, match="some targets are -100, which cross-entropy leaves out"):
        treatment.backward((x, targets))
    assert all(each.grad is None for each in treatment.module.parameters())
    treatment.backward((x, targets), lambda network, part: network(part[0]).mean())


def test_a_plain_training_call_of_microbatch_is_refused_before_it_trains(batch):
    network = Chain().double()
    treatment = treat(network, "microbatch", slices=2)
    for each in (network, copy.deepcopy(network), pickle.loads(pickle.dumps(network))):
        with pytest.raises(Refusal, match=r"train with `treatment.backward\(batch, loss\)`$"):
            mean_loss(each, batch)
    treatment.backward(batch, mean_loss)
    with pytest.raises(Refusal):
        mean_loss(network, batch)
    with torch.no_grad():
        assert network(batch[0]).shape == (8, 3)
    assert network.eval()(batch[0]).shape == (8, 3)
    mean_loss(treatment.merge().train(), batch).backward()


def test_one_slice_is_plain_training(batch):
    network = Chain().double()
    treat(network, "microbatch", slices=1)
    mean_loss(network, batch).backward()


def test_ranks_can_be_calibrated_with_microbatches(batch):
    treatment = treat(
        Chain().double(), [("asi", {"budget_mib": 1.0}), ("microbatch", {"slices": 2})]
    )
    assert treatment.calibrate(batch, mean_loss).keys() == {"first", "second"}
    treatment.backward(batch, mean_loss)


class Counts(Method):
    """It counts how often a training step enters it."""

    count = 0

    @contextmanager
    def packing(self, network):
        self.count += 1
        yield


def test_a_step_of_one_thread_is_none_of_another_thread():
    method, network = Counts(), Chain()
    forward = TrainingForward([method])

    def step():
        with forward.entered(network), forward.entered(network):
            pass

    with forward.entered(network):
        thread = threading.Thread(target=step)
        thread.start()
        thread.join()
    step()
    assert method.count == 3
    twin = pickle.loads(pickle.dumps(forward))
    with twin.entered(network):
        pass
