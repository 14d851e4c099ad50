"""The optimizers of a treatment, against those of torch."""

import copy

import pytest
import torch
from torch import nn

from ondevice_bench.errors import Refusal
from ondevice_bench.methods.treatment import treat


@pytest.fixture
def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 8), nn.GELU(), nn.Linear(8, 4))


def batches(count):
    stream = torch.Generator().manual_seed(1)
    for _ in range(count):
        yield torch.randn(5, 6, generator=stream), torch.randint(4, (5,), generator=stream)


def train(network, optimizer, clip=None, steps=5):
    for x, y in batches(steps):
        nn.functional.cross_entropy(network(x), y).backward()
        if clip is not None:
            nn.utils.clip_grad_norm_(network.parameters(), clip)
        optimizer.step()
        optimizer.zero_grad()
    return [parameter.detach() for parameter in network.parameters()]


def test_adamw_is_that_of_torch_to_the_bit(network):
    twin = copy.deepcopy(network)
    ours = treat(network, "vanilla").optimizer(lr=0.1, weight_decay=0.01, kind="adamw")
    theirs = torch.optim.AdamW(twin.parameters(), lr=0.1, weight_decay=0.01)
    pairs = zip(train(network, ours), train(twin, theirs), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)


def test_adamw_clips_the_global_norm(network):
    network.double()
    twin = copy.deepcopy(network)
    network, twin = (each.to(torch.float64) for each in (network, twin))
    ours = treat(network, "vanilla").optimizer(lr=0.1, clip=0.01, kind="adamw")
    theirs = torch.optim.AdamW(twin.parameters(), lr=0.1, weight_decay=0.0)
    for x, y in batches(4):
        for net, optimizer in ((network, ours), (twin, theirs)):
            nn.functional.cross_entropy(net(x.double()), y).backward()
            if net is twin:
                nn.utils.clip_grad_norm_(net.parameters(), 0.01)
            optimizer.step()
            optimizer.zero_grad()
    for a, b in zip(network.parameters(), twin.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-14)


def test_a_closure_runs_once_before_the_update(network):
    optimizer = treat(network, "vanilla").optimizer(lr=0.1, kind="adamw")
    calls = []
    assert optimizer.step(lambda: calls.append(1) or 0.5) == 0.5
    assert calls == [1]


@pytest.mark.parametrize("method", ["wsi", "wasi"])
def test_adamw_trains_factors_only_as_ordinary_parameters(network, method):
    with pytest.raises(Refusal, match="0: the subspace update is a step of SGD: with AdamW use"):
        treat(copy.deepcopy(network), method, rank=2).optimizer(lr=0.1, kind="adamw")
    factors = treat(network, method, rank=2, update="factors").optimizer(lr=0.1, kind="adamw")
    before = copy.deepcopy(network.state_dict())
    train(network, factors, steps=1)
    assert not torch.equal(network.state_dict()["0.left"], before["0.left"])


@pytest.mark.parametrize(
    ("what", "reason"),
    [
        ({"kind": "adam"}, "unknown optimizer 'adam'; did you mean 'adamw'"),
        ({"kind": "adamw", "momentum": 0.9}, "AdamW has moments of its own: leave momentum 0"),
    ],
)
def test_an_optimizer_that_does_not_exist_is_refused_in_words(network, what, reason):
    with pytest.raises(Refusal, match=reason):
        treat(network, "vanilla").optimizer(lr=0.1, **what)
