"""Checkpointed blocks in networks and loops as people write them."""

import copy
import pickle
import random
from collections import Counter

import numpy
import pytest
import torch
import torch.distributed as dist
from torch import nn
from torch.nn import functional as F
from torch.nn.parallel import DistributedDataParallel

from ondevice_bench import treat
from ondevice_bench.errors import Refusal
from ondevice_bench.measure.activations import saved_bytes
from ondevice_bench.specs.layout import ModelLayout
from tests.methods.conftest import difference, randn
from tests.methods.test_rivals import Step

GENERATOR = 5056  # bytes of the state of torch's generator


class Masked(nn.Module):
    """A block with a named mask and a tuple; it gives a tuple, and counts its runs."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(6, 6)
        self.runs = Counter()  # a number would be set back

    def forward(self, pair, *, mask, scale=1.0):
        self.runs["forward"] += 1
        x, other = pair
        return torch.tanh(self.linear(x)) * mask * scale + other, mask


class Network(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.first = nn.Linear(6, 6)
        self.blocks = nn.ModuleList(Masked() for _ in range(2))
        self.double()

    def forward(self, x):
        x, mask = self.first(x), x > 0
        for block in self.blocks:
            x, mask = block((x, 2 * x), mask=mask, scale=0.5)
        return x


def both(make=Network, blocks="blocks.*"):
    """The network plain and checkpointed."""
    torch.manual_seed(0)
    plain = make()
    ours = copy.deepcopy(plain)
    treat(ours, "checkpoint", layout=ModelLayout(blocks=blocks))
    return plain, ours


def gradients(network, x, loss=lambda y: y.square().mean()):
    network.zero_grad()
    torch.manual_seed(3)
    loss(network(x)).backward()
    return {name: p.grad.clone() for name, p in network.named_parameters()}


def same(found, expected):
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], expected[name]) for name in expected)


def test_named_arguments_and_tuples_are_kept_and_run_again():
    plain, ours = both()
    x = randn(4, 6)
    same(gradients(ours, x), gradients(plain, x))
    assert [block.runs["forward"] for block in ours.blocks] == [2, 2]


def test_every_tensor_among_the_inputs_is_seen_once_by_the_measurement():
    network = Network()
    blocks = nn.ModuleList([network.blocks[0]])
    network.blocks = blocks
    treatment = treat(network, "checkpoint", layout=ModelLayout(blocks="blocks.*"))
    # x, 2 x and the output that is squared, the mask of one byte, and the state of the generator
    assert saved_bytes(Step(treatment, randn(4, 6))) == 3 * 4 * 6 * 8 + 4 * 6 + GENERATOR


def test_inputs_are_packed_and_not_kept_beside_that():
    network = Network().float()
    methods = [("checkpoint", {}), ("saved_bf16", {})]
    treatment = treat(network, methods, layout=ModelLayout(blocks="blocks.*"))
    x = torch.randn(4, 6)
    before = torch.utils.weak.WeakIdKeyDictionary()
    network.first.register_forward_hook(lambda _, inputs, output: before.update({output: 1}))
    y = network(x)
    assert len(before) == 0
    y.sum().backward()
    assert treatment.merge() is network


def test_a_gradient_by_the_input_can_be_differentiated_again():
    results = []
    for network in both():
        x = randn(4, 6).requires_grad_()
        value = network(x).square().mean()
        (slope,) = torch.autograd.grad(value, x, create_graph=True)
        (value + slope.square().sum()).backward()
        results.append({name: p.grad for name, p in network.named_parameters()})
    plain, ours = results
    assert all(difference(ours[name], plain[name]) <= 1e-12 for name in plain)


def test_autograd_grad_gives_the_gradients():
    plain, ours = both()
    x = randn(4, 6)
    for network in (plain, ours):
        network.found = torch.autograd.grad(network(x).sum(), list(network.parameters()))
    assert all(torch.equal(a, b) for a, b in zip(plain.found, ours.found, strict=True))


def test_hooks_on_parameters_find_a_gradient():
    _, ours = both()
    seen = []
    for parameter in ours.parameters():
        parameter.register_post_accumulate_grad_hook(lambda p: seen.append(p.grad is not None))
    ours(randn(4, 6)).sum().backward()
    assert seen == [True] * 6


def test_hooks_of_modules_inside_a_block_are_called_in_pairs():
    _, ours = both()
    calls = []
    ours.blocks[0].linear.register_forward_pre_hook(lambda *_: calls.append("before"))
    ours.blocks[0].linear.register_forward_hook(lambda *_: calls.append("after"))
    ours(randn(4, 6)).sum().backward()
    assert calls == ["before", "after"] * 2


def test_a_backward_that_keeps_the_graph_can_run_twice():
    plain, ours = both()
    for network in (plain, ours):
        loss = network(randn(4, 6)).sum()
        loss.backward(retain_graph=True)
        loss.backward()
    for a, b in zip(ours.parameters(), plain.parameters(), strict=True):
        assert torch.equal(a.grad, b.grad)


@pytest.mark.parametrize("way", ["pickle", "deepcopy"])
def test_a_copy_is_checkpointed_too(way):
    plain, ours = both()
    twin = copy.deepcopy(ours) if way == "deepcopy" else pickle.loads(pickle.dumps(ours))
    same(gradients(twin, randn(4, 6)), gradients(plain, randn(4, 6)))
    assert [block.runs["forward"] for block in twin.blocks] == [2, 2]


def test_a_transformer_of_torch_with_masks_is_exact():
    def make():
        layer = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.3, batch_first=True)
        return nn.TransformerEncoder(layer, 2).double()

    plain, ours = both(make, "layers.*")
    hidden = torch.zeros(3, 5, dtype=torch.bool)
    hidden[:, 4] = True
    causal = torch.ones(5, 5, dtype=torch.bool).triu(1)
    x = randn(3, 5, 8)
    results = []
    for network in (plain, ours):
        torch.manual_seed(3)
        y = network(x, mask=causal, src_key_padding_mask=hidden, is_causal=True)
        y.square().mean().backward()
        results.append({name: p.grad for name, p in network.named_parameters()})
    same(results[1], results[0])
    with torch.no_grad():
        assert difference(ours.eval()(x), plain.eval()(x)) <= 1e-12


def test_autocast_reaches_the_second_run():
    def make():
        return nn.Sequential(nn.Sequential(nn.Linear(8, 8), nn.GELU(), nn.Linear(8, 8)))

    plain, ours = both(make, "0")
    results = []
    for network in (plain, ours):
        with torch.autocast("cpu", torch.bfloat16):
            loss = network(torch.ones(4, 8)).float().square().mean()
        loss.backward()
        results.append({name: p.grad for name, p in network.named_parameters()})
    same(results[1], results[0])


@pytest.mark.parametrize("draw", [random.random, numpy.random.rand])
def test_a_block_that_draws_numbers_of_python_or_numpy_draws_the_same_again(draw):
    class Noisy(nn.Linear):
        def forward(self, x):
            return x if draw() < 0.3 else torch.tanh(super().forward(x)) * draw()

    def make():
        return nn.Sequential(*(Noisy(6, 6) for _ in range(5))).double()

    plain, ours = both(make, "*")
    results = []
    for network in (plain, ours):
        random.seed(4)
        numpy.random.seed(4)  # noqa: NPY002  # that of all code
        for _ in range(3):
            network(randn(4, 6)).sum().backward()
            network(randn(4, 6)).sum().backward()
        results.append({name: p.grad for name, p in network.named_parameters()})
        results[-1]["next number"] = torch.tensor(draw())
    same(results[1], results[0])


def counts(state):
    state["calls"] = state.get("calls", 0) + 1
    return state["calls"]


def extends(state):
    state.setdefault("seen", []).append(1)
    return len(state["seen"])


def averages(state):
    state["mean"] = 0.5 * state.get("mean", torch.ones(())) + 1
    return state["mean"]


class Remembering(nn.Linear):
    """A block whose output depends on what it keeps in itself."""

    def __init__(self, factor, kept):
        super().__init__(6, 6)
        self.factor = factor
        vars(self).update(kept)
        self.double()

    def forward(self, x):
        return torch.tanh(super().forward(x)) * self.factor(vars(self))


@pytest.mark.parametrize(
    ("factor", "kept"),
    [
        (counts, {}),
        (extends, {}),
        (extends, {"seen": [1]}),
        (averages, {}),
        (lambda own: own["stream"].random(), {"stream": random.Random(1)}),
        (lambda own: own["stream"].random(), {"stream": numpy.random.default_rng(1)}),
        (lambda own: own["stream"].rand(), {"stream": numpy.random.RandomState(1)}),
        (
            lambda own: torch.rand(6, generator=own["stream"], dtype=torch.float64),
            {"stream": torch.Generator().manual_seed(1)},
        ),
    ],
)
def test_a_block_that_keeps_a_state_in_itself_runs_again_from_the_same_state(factor, kept):
    class Twice(nn.Sequential):
        def forward(self, x):
            return super().forward(super().forward(x))

    networks = []
    for _ in range(2):
        torch.manual_seed(0)
        block = nn.Sequential(Remembering(factor, copy.deepcopy(kept)), nn.Dropout(0.1))
        networks.append(Twice(nn.Linear(6, 6), block).double())
    treat(networks[1], "checkpoint", layout=ModelLayout(blocks="1"))
    for _ in range(2):
        plain, ours = (gradients(each, randn(4, 6)) for each in networks)
        same(ours, plain)


def test_a_block_whose_second_run_has_another_output_is_refused_in_the_first_backward():
    numbers = iter(range(1, 9))  # nothing of the block's own

    class Depending(nn.Linear):
        def forward(self, x):
            return super().forward(x) * next(numbers)

    network = nn.Sequential(nn.Linear(6, 6), Depending(6, 6), nn.Linear(6, 2))
    treat(network, "checkpoint", layout=ModelLayout(blocks="1"))
    with pytest.raises(Refusal, match=r"^1: checkpoint runs this block again in backward, and its"):
        network(torch.ones(4, 6)).sum().backward()


def test_a_block_that_the_network_calls_twice_is_exact():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.block = nn.Sequential(nn.Linear(6, 6), nn.Dropout(0.5), nn.Tanh()).double()

        def forward(self, x):
            return self.block(self.block(x))

    plain, ours = both(Twice, "block")
    same(gradients(ours, randn(4, 6)), gradients(plain, randn(4, 6)))


def test_distributed_data_parallel_follows_the_second_run(tmp_path):
    plain, ours = both()
    x = randn(4, 6)
    dist.init_process_group("gloo", init_method=f"file://{tmp_path}/meet", rank=0, world_size=1)
    try:
        wrapped = DistributedDataParallel(ours)
        for _ in range(2):
            same(gradients(wrapped, x), {f"module.{n}": g for n, g in gradients(plain, x).items()})
    finally:
        dist.destroy_process_group()


@pytest.mark.filterwarnings("ignore")  # torch._dynamo hides warnings of its own by a filter
@pytest.mark.parametrize("backend", ["eager", "aot_eager"])
def test_a_compiled_network_is_exact(backend):
    torch._dynamo.reset()
    plain, ours = both()
    x = randn(4, 6)
    compiled = torch.compile(ours, backend=backend)
    compiled(x).square().mean().backward()
    found = {name: p.grad for name, p in ours.named_parameters()}
    expected = gradients(plain, x)
    assert all(difference(found[name], expected[name]) <= 1e-12 for name in expected)


class InPlace(nn.Module):
    def forward(self, x):
        return F.relu_(x)


class Counting(nn.Module):
    """It moves a buffer in each forward."""

    def __init__(self):
        super().__init__()
        self.register_buffer("mean", torch.zeros(6))

    def forward(self, x):
        self.mean += x.detach().mean(0)
        return x * self.mean


class Keeping(nn.Module):
    """It moves a tensor of its own, which is no buffer."""

    def __init__(self):
        super().__init__()
        self.mean = torch.zeros(6)

    forward = Counting.forward


class Cache:
    def __init__(self):
        self.kept = {"keys": []}


class Caching(nn.Module):
    """It keeps what it has seen in an object of its caller."""

    cache = None

    def forward(self, x, cache=None):
        cache = cache or Cache()
        cache.kept["keys"].append(x)
        return torch.stack(cache.kept["keys"]).sum(0).tanh()


class Passing(nn.Module):
    def __init__(self, block):
        super().__init__()
        self.first, self.block = nn.Linear(6, 6), block

    def forward(self, x):
        return self.block(self.first(x), Cache())


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (InPlace, "its input in place: take it out of the blocks"),
        (Counting, "its buffer 0.mean in forward: take it out of the blocks"),
        (Keeping, "its tensor 0.mean in place: take it out of the blocks"),
    ],
)
def test_a_block_that_cannot_run_again_is_refused_in_its_first_forward(make, why):
    network = nn.Sequential()
    network.add_module("first", nn.Linear(6, 6))
    network.add_module("block", nn.Sequential(make(), nn.Linear(6, 6)))
    treat(network, "checkpoint", layout=ModelLayout(blocks="block"))
    with pytest.raises(Refusal) as caught:
        network(torch.ones(4, 6))
    says = "block: checkpoint cannot run this block again, because the block changes "
    assert str(caught.value) == says + why
    with torch.no_grad():
        network(torch.ones(4, 6))


def test_a_block_that_changes_an_object_of_its_caller_is_refused():
    network = Passing(Caching())
    treat(network, "checkpoint", layout=ModelLayout(blocks="block"))
    with pytest.raises(Refusal, match="because the block changes the Cache that it is given: call"):
        network(torch.ones(4, 6))


def test_a_list_that_a_block_extends_is_extended_once():
    class Extending(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(6, 6)

        def forward(self, x, states):
            states.append(x)
            return self.linear(torch.stack(states).sum(0))

    class Collecting(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.block = nn.Linear(6, 6), Extending()
            self.double()

        def forward(self, x):
            self.states = [x]
            return self.block(self.first(x), self.states)

    plain, ours = both(Collecting, "block")
    same(gradients(ours, randn(4, 6)), gradients(plain, randn(4, 6)))
    assert len(ours.states) == 2
