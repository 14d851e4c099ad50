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
      last:1: {asi: {fraction: 0.5}}
      all: {compose: [lean, bias_only]}
  - mix: {label: tail, pattern:5: lora_fa, all: vanilla}
measure: [trace]
"""
SAID = ("--model", "./mynet.py:net", "--fraction", "0.5", "--batch", "4", "--json")


@pytest.fixture
def here(workplace):
    (workplace / "mynet.py").write_text(NET)
    (workplace / "mine.yaml").write_text(SUITE)


def test_a_mix_is_a_row_of_the_run_and_of_the_page(bench, here, workplace):
    ended = bench("run", "./mine.yaml", "--json")
    assert ended.code == 0, ended.err
    metrics = {each["cell"].split("/")[1]: each["metrics"] for each in ended.json()["cells"]}
    mix = "mix(last:1=asi(fraction=0.5),all=bias_only+lean)"
    assert list(metrics) == ["vanilla", mix, "tail"]
    stored = {
        source: {cell: found[source]["estimate"] for cell, found in metrics.items()}
        for source in ("activation_bytes", "activation_allocated_bytes")
    }
    assert stored["activation_bytes"] == stored["activation_allocated_bytes"]
    core = 2 * 4 * 3 * 3 + 2 * 4 + 4 * 8 + 3 * 6 + 3 * 6  # of (4, 8, 6, 6), with its bases
    bits = (2 * 4 * 8 * 6 * 6 + 4 * 10) // 8  # of three ReLUs
    head, loss = 4 * 10 * 4, (4 * 3 + 1) * 4
    assert stored["activation_bytes"][mix] == core * 4 + bits + head + loss
    page = (workplace / "bench-out" / "mine" / "report.html").read_text()
    assert "asi fraction=0.5 on last:1, bias_only+lean on all" in page
    table = bench("report", "mine", "--format", "text")
    assert table.code == 0, table.err
    assert "tail" in table.out


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
