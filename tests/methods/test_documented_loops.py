"""The training loops of docs/methods.md run as they are written."""

import re
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy
from torch.optim.swa_utils import AveragedModel

from ondevice_bench import treat

PAGE = Path(__file__).parents[2] / "docs" / "methods.md"
BLOCKS = re.findall(
    r"^```python\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE
)


@pytest.fixture
def names():
    """What the reader of the page has already."""
    torch.manual_seed(0)
    batches = [(torch.randn(8, 6), torch.randint(0, 3, (8,))) for _ in range(2)]
    return {
        "model": nn.Sequential(nn.Linear(6, 9), nn.GELU(), nn.Linear(9, 3)),
        "batches": batches,
        "batch": batches[0],
        "cross_entropy": cross_entropy,
        "AveragedModel": AveragedModel,
        "treat": treat,
    }


STEP = "cross_entropy(model(batch[0]), batch[1]).backward(); optimizer.step()"


def test_the_page_has_these_loops():
    firsts = [block.splitlines()[-1] for block in BLOCKS]
    assert firsts == [
        "plain = treatment.merge()  # plain layers again",
        ")",
        "    optimizer.zero_grad()",
        "    optimizer.zero_grad()",
        'optimizer = treatment.optimizer(lr=0.001, weight_decay=0.01, kind="adamw")',
        "averaged.update_parameters(copy.deepcopy(treatment).merge())",
    ]


def test_a_network_is_treated_trained_and_merged(names):
    exec(BLOCKS[0], names)
    assert type(names["plain"][0]) is nn.Linear


def test_methods_have_layers_of_their_own(names):
    exec(BLOCKS[1], names)
    trained = {n for n, each in names["model"].named_parameters() if each.requires_grad}
    assert [report.name for report in names["treatment"].report()] == ["0"]
    assert trained == {"0.weight", "0.bias", "2.weight", "2.bias"}  # the head trains, too


def test_a_batch_is_cut_into_slices(names):
    before = names["model"][0].weight.detach().clone()
    exec(BLOCKS[2], names)
    assert not torch.equal(names["model"][0].weight, before)


def test_weights_are_updated_in_backward(names):
    before = names["model"][0].weight.detach().clone()
    exec(BLOCKS[3], names)
    assert not torch.equal(names["model"][0].weight, before)
    assert names["model"][0].weight.grad is None  # the loop has cleared it


def test_gradients_are_projected(names):
    exec(BLOCKS[4], names)
    exec(STEP, names)
    assert "basis" in names["optimizer"].state[names["model"][0].weight]


def test_merged_networks_are_averaged(names):
    exec(BLOCKS[0].split("for batch in batches")[0], names)
    exec(BLOCKS[5].replace("...  # after each step:", STEP), names)
    assert type(names["averaged"].module[0]) is nn.Linear
