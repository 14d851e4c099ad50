"""A mix by layer, from its suite to the page."""

import pytest

NET = """\
import torch
from torch import nn

def net():
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(8, 8, 3, padding=1),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(8 * 6 * 6, 10),
        nn.ReLU(),
        nn.Linear(10, 3),
    )

def batch(size, seed):
    torch.manual_seed(seed)
    return torch.randn(size, 3, 6, 6), torch.arange(size) % 3
"""
SUITE = """\
schema: 1
title: A mix
models: [./mynet.py:net: {batch: 4}]
methods:
  - vanilla
  - mix:
      last: 1: {asi: {fraction: 0.5}}
      all: {compose: [lean, bias_only]}
  - mix: {label: tail, pattern:5: lora_fa, all: vanilla}
measure: [trace]
"""
SUITE = SUITE.replace("last: 1:", "last:1:")
SAID = ("--model", "./mynet.py:net", "--fraction", "0.5", "--batch", "4", "--json")


@pytest.fixture
def here(workplace):
    (workplace / "mynet.py").write_text(NET)
    (workplace / "mine.yaml").write_text(SUITE)


def test_a_mix_is_a_row_of_the_run_and_of_the_page(bench, here, workplace):
    ended = bench("run", "./mine.yaml", "--json")
    assert ended.code == 0, ended.err
    cells = {each["cell"].split("/")[1]: each["metrics"] for each in ended.json()["cells"]}
    print(ended.json())
    mix = "mix(last:1=asi(fraction=0.5),all=bias_only+lean)"
    assert list(cells) == ["vanilla", mix, "tail"]


def test_an_account_of_a_mix_is_the_sum_of_its_entries(bench, here):
    mixed = bench("account", *SAID, "--method", "conv=svd,all=wsi").json()
    convs = bench("account", *SAID, "--method", "svd", "--layers", "conv").json()
    fcs = [
        bench("account", *SAID, "--method", "wsi", "--layers", f"pattern:{n}").json() for n in "57"
    ]
    for key in ("activation_mib", "weight_mib"):
        assert mixed[key] == pytest.approx(sum(each[key] for each in (convs, *fcs)), rel=1e-12)
    assert mixed["flops"]["training"] == sum(e["flops"]["training"] for e in (convs, *fcs))
    assert mixed["left_alone"] == {}


def test_layers_that_no_model_has_are_told_before_anything_runs(bench, here, workplace):
    suite = SUITE.replace("pattern:5: lora_fa, all: vanilla", "pattern:fc*: lora_fa")
    (workplace / "mine.yaml").write_text(suite)
    ended = bench("run", "./mine.yaml")
    assert ended.code == 2
    assert ended.err == (
        "bench: mine.yaml:9: methods[2].pattern:fc*: 'pattern:fc*' matches no layer; near it: "
        "7, 5, 2\n"
    )
    assert not (workplace / "bench-out").exists()
