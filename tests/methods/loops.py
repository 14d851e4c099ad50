"""A small network and its training, for tests of loops that differ from a plain step."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from ondevice_bench.methods.treatment import treat
from ondevice_bench.specs.layout import ModelLayout

RATE = 0.1
FULL = {"fraction": 1.0}
# these methods are exact at full rank; lean has no rank and is always exact
AT_FULL_RANK = [
    ("svd", FULL),
    ("hosvd", FULL),
    ("asi", FULL),
    ("wsi", FULL),
    ("wasi", FULL),
    ("wsi_svd", FULL),
    ("lean", {}),
]
FACTORED = pytest.mark.parametrize("method", ["wsi", "wasi", "wsi_svd"])
EXACT = pytest.mark.parametrize(
    ("method", "options"),
    [
        *AT_FULL_RANK,
        ("update_in_backward", {}),
        ("galore", {"rank": 100, "scale": 1.0}),
    ],
)


def network():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Sequential(nn.Linear(6, 9), nn.GELU()), nn.Sequential(nn.Linear(9, 9)), nn.Linear(9, 3)
    ).double()


def batches(count=3, examples=8):
    stream = torch.Generator().manual_seed(1)
    return [
        (
            torch.randn(examples, 6, dtype=torch.float64, generator=stream),
            torch.randint(0, 3, (examples,), generator=stream),
        )
        for _ in range(count)
    ]


def loss(module, batch):
    x, classes = batch
    return F.cross_entropy(module(x), classes)


def treated(method, module=None, **options):
    layout = ModelLayout(blocks="0|1", head="2")
    return treat(module or network(), method, layout=layout, **options)


def train(module, optimizer, count=3):
    for batch in batches(count):
        loss(module, batch).backward()
        optimizer.step()
        optimizer.zero_grad()


def plainly(loop, **options):
    module = network()
    loop(module, torch.optim.SGD(module.parameters(), lr=RATE, **options))
    return module


def weights(module):
    """Copies of the parameters, without the marks of factors."""
    named = module.named_parameters()
    return {name: each.detach().clone() for name, each in named if "pending" not in name}


def same(found, expected, tolerance=1e-12):
    ours, theirs = weights(found), weights(expected)
    assert ours.keys() == theirs.keys()
    return all((ours[name] - theirs[name]).abs().max() < tolerance for name in ours)


def unchanged(module, before):
    return all(torch.equal(each, before[name]) for name, each in weights(module).items())
