"""`bench run` on a suite that trains: what is stored, printed and drawn."""

import numpy
import pytest

from ondevice_bench.record.details import Details
from ondevice_bench.record.store import Store

NET = """\
import torch
from torch import nn

def net(image_size=8):
    return nn.Sequential(nn.Flatten(), nn.Linear(192, 16), nn.Tanh(), nn.Linear(16, 3))

class Broken(nn.Module):
    def __init__(self):
        super().__init__()
        self.last = nn.Linear(192, 3)

    def forward(self, x):
        return self.last(x.flatten(1)) * float("inf")

def broken(image_size=8):
    return Broken()
"""
SUITE = """\
schema: 1
title: Three kinds of squares
models: [./net.py:net: {batch: 8}, ./net.py:broken: {batch: 8}]
methods: [vanilla, bias_only]
data: {npz: d.npz}
seeds: [0, 1]
measure: [learning]
learning: {epochs: 2, target: 0.5, examples: 60, validation: 30, test: 40, learning_rates: [0.01, 0.3]}
exclude: ["*broken*/bias_only*"]
"""


@pytest.fixture
def taught(bench, workplace):
    stream = numpy.random.default_rng(0)
    labels = numpy.arange(300) % 3
    images = stream.integers(0, 100, (300, 8, 8, 3)) + labels[:, None, None, None] * 70
    numpy.savez(workplace / "d.npz", images=images.astype(numpy.uint8), labels=labels)
    (workplace / "net.py").write_text(NET)
    (workplace / "taught.yaml").write_text(SUITE)
    return bench("run", "taught.yaml")


def test_a_run_that_trains(taught, bench, workplace):
    assert taught.code == 0, taught.err
    with Store.open(workplace / "bench-out/taught/results.sqlite") as store:
        (run,) = store.runs()
        records = {(r.key.cell, r.key.pass_name): r for r in store.records(run.id)}
    assert len(records) == 12
    (of_net,) = [
        record
        for (cell, name), record in records.items()
        if name == "learning" and "net.py:net" in cell and cell.endswith("vanilla/all/b8/s0")
    ]
    curve = Details.from_dict(of_net.details).learned
    assert len(curve.accuracy) == len(curve.seconds) == 3
    assert curve.rate in (0.01, 0.3)
    assert of_net.metrics["final_accuracy"] == curve.accuracy[-1]
    broken = [r for (cell, _), r in records.items() if "broken" in cell]
    assert {record.status for record in broken} == {"ok", "skipped"}
    reasons = {record.reason for record in broken if record.status == "skipped"}
    assert reasons == {
        (
            "no learning rate of the grid trains the network "
            "(0.01: the loss was not finite in step 1 of epoch 1; "
            "0.3: the loss was not finite in step 1 of epoch 1)"
        )
    }
    assert "vanilla reaches " in taught.out
    assert "bias_only" in taught.out
    page = (workplace / "bench-out/taught/report.html").read_text()
    assert "Accuracy while training" in page
    assert "the loss was not finite in step 1 of epoch 1" in page
    again = bench("report", "taught", "--format", "json").json()
    assert {line["cells"] for line in again["learning"]}
