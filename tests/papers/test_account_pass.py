"""Accounts of whole networks: which layers count, each thing once, beside the same in vanilla."""

from dataclasses import replace

import pytest

from ondevice_bench.papers.counting import account_pass
from ondevice_bench.running.hosts.fake import FakeHost
from ondevice_bench.running.queries.jobs import JobMaker
from ondevice_bench.suite.cell import Cell

# `first` and `tied` have one weight; `left`, `right` and `wide` read parts of one tensor
NET = """\
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.tied = nn.Linear(8, 8), nn.Linear(8, 8)
        self.tied.weight = self.first.weight
        self.left, self.right, self.wide = nn.Linear(4, 3), nn.Linear(4, 3), nn.Linear(8, 3)
        self.head = nn.Linear(3, 10)

    def forward(self, images):
        x = self.tied(self.first(images.flatten(1)[:, :8]))
        left, right = x.chunk(2, -1)
        y = self.left(left) + self.right(right)
        return self.head(y + self.wide(x) if self.reads_whole else y)

def grouped():
    convs = nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 3, groups=4), nn.Conv2d(4, 8, 1)
    return nn.Sequential(*convs, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 10))

def parts():
    net = Net()
    net.reads_whole = False
    return net

def whole():
    net = Net()
    net.reads_whole = True
    return net
"""


def account_of(model, method="vanilla", options=(), layers="all", net=None):
    cell = Cell("cell", model, method, batch=2, method_options=tuple(options), layers=layers)
    job = JobMaker(FakeHost(), None).job(cell, "account")
    if net is not None:
        job = replace(job, model=net, model_options={}, layout=None)
    result = account_pass.measure(job)
    return {**result.metrics, **result.details}


@pytest.fixture
def net(tmp_path):
    (tmp_path / "net.py").write_text(NET)
    return lambda name: f"{tmp_path / 'net.py'}:{name}"


def test_the_layers_beside_it_in_vanilla_are_those_that_the_method_changes(net):
    found = account_of("mcunet", "wasi", (("fraction", 0.25),), "conv", net=net("grouped"))
    assert (set(found["layers"]), set(found["left_alone"])) == ({"0", "2"}, {"1"})
    vanilla = account_of("mcunet", layers="conv", net=net("grouped"))
    for name in ("activation", "weight"):
        same = sum(vanilla["layers"][layer][f"{name}_elements"] for layer in found["layers"])
        assert found["plain"][f"{name}_bytes"] == 4 * same < vanilla[f"{name}_bytes"]
    works = [vanilla["layers"][layer]["work"] for layer in found["layers"]]
    for part in ("forward", "input_gradient", "weight_gradient"):
        assert found["plain"]["flops"][part] == sum(work[part] for work in works)
    assert vanilla["plain"] == {name: vanilla[name] for name in vanilla["plain"]}


@pytest.mark.parametrize("name", ["parts", "whole"])
def test_parts_of_a_tensor_and_a_shared_weight_count_once(net, name):
    found = account_of("mcunet", net=net(name))
    x, of_head = 2 * 8, 2 * 3
    # the inputs of `first` and `tied`, then x as a whole, whoever reads it
    assert found["stored_bytes"] == 4 * (x + x + x + of_head)
    counted = 3 * x + of_head + (x if name == "whole" else 0)
    assert found["activation_bytes"] == 4 * counted
    wide = 8 * 3 if name == "whole" else 0
    assert found["weight_bytes"] == 4 * (8 * 8 + 2 * 4 * 3 + wide + 3 * 10)


def test_a_layer_that_a_method_may_not_untie_is_left_alone_as_in_a_run(net):
    found = account_of("mcunet", "wsi", (("rank", 2),), net=net("whole"))
    assert set(found["left_alone"]) == {"first", "tied"}
    assert found["left_alone"]["tied"] == "shares its weight with first.weight"
    kept = account_of("mcunet", "asi", (("rank", 2),), net=net("whole"))
    assert kept["left_alone"] == {}
