"""The lines to paste are run, for every candidate of our space and for what else a space can say."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from ondevice_bench.models.families import family
from ondevice_bench.recommend.candidates import planned_in
from ondevice_bench.recommend.paste import lines_to_paste
from ondevice_bench.running.hosts.fake import FakeHost
from ondevice_bench.running.queries.jobs import JobMaker
from ondevice_bench.specs import registry
from ondevice_bench.suite.board import HERE
from ondevice_bench.suite.from_flags import Words
from ondevice_bench.suite.matrix import OWN_DATA
from ondevice_bench.suite.space import load_space
from ondevice_bench.worker.workload import treated_model

pytestmark = pytest.mark.usefixtures("narrow_networks")

OWN = """\
schema: 1
title: What else a space can say
methods:
  - mix: {"last:1": {asi: {fraction: 0.5}}, all: {compose: [lean, bias_only]}}
  - checkpoint: {scope: mlp}
  - wasi: {fraction: 0.5, update: factors}
  - update_in_backward
  - ./mine.py:Mine: {keep: 0.5}
layers: [mlp, last_blocks: 1]
train: [{optimizer: adamw, lr: 0.001, clip: null}, {momentum: 0.9, zero_grad: zero}]
"""
MINE = """\
from ondevice_bench.methods.svd import Svd


class Mine(Svd):
    def __init__(self, keep=0.1):
        super().__init__()
        self.keep = keep
"""


def planned(space, model, options):
    workload = Words([model], options=options, batches=[4]).suite()
    cells = [item.cell for item in planned_in(load_space(space), workload, HERE) if not item.reason]
    return {cell.id: cell for cell in cells}


def network_of(cell):
    spec = registry.model(cell.model)
    network = family(spec.implementation)
    torch.manual_seed(0)
    defaults = {option.name: option.default for option in spec.options}
    model = network.construct(**{**defaults, **dict(cell.model_options)})
    network.initialise(model, 0)
    return model


def train_as_pasted(cell):
    """Run the lines as a user would, and the step a second time; the two losses."""
    size = dict(cell.model_options)["image_size"]
    names = {
        "model": network_of(cell),
        "inputs": torch.randn(cell.batch, 3, size, size),
        "targets": torch.arange(cell.batch) % 10,
    }
    lines = lines_to_paste(cell)
    exec("\n".join(lines), names)
    first = float(names["loss"])
    exec("\n".join(lines[lines.index("# each step") :]), names)
    assert names["batch_size"] == cell.batch
    assert max(map(len, lines)) <= 240  # the layout of a network is on one line
    return first, float(names["loss"])


@pytest.mark.parametrize(
    ("model", "options"),
    [
        ("vit_b_32", ["depth=1", "image_size=32", "classes=10"]),
        ("mcunet", ["image_size=32", "classes=10"]),
    ],
)
def test_the_lines_of_every_candidate_train_the_network(model, options):
    cells = planned("default", model, options)
    assert len(cells) > 20
    refused = []
    for name, cell in cells.items():
        try:
            first, second = train_as_pasted(cell)
        except ValueError as error:  # a refusal: such a candidate never wins
            refused.append((name, str(error)))
            continue
        assert first > 0, name
        assert torch.isfinite(torch.tensor(second)), name
    assert len(refused) <= 2, refused


def test_the_lines_know_mixes_layouts_optimizers_and_methods_in_files(workplace):
    (workplace / "own.yaml").write_text(OWN)
    (workplace / "mine.py").write_text(MINE)
    cells = planned("own.yaml", "vit_b_32", ["depth=2", "image_size=32", "classes=10"])
    texts = {name: "\n".join(lines_to_paste(cell)) for name, cell in cells.items()}
    whole = "\n".join(texts.values())
    for part in (
        '{"last:1": [("asi", {"fraction": 0.5})], "all": [',
        "layout=ModelLayout(",
        'kind="adamw", lr=0.001',
        "momentum=0.9",
        "set_to_none=False",
        '"./mine.py:Mine"',
        'layers="last_blocks:1"',
    ):
        assert part in whole, part
    for name, cell in cells.items():
        if "Mine" not in name:
            first, second = train_as_pasted(cell)
            assert second < first * 2, name


def test_a_network_with_batches_of_its_own_trains_with_the_loss_of_its_file():
    cells = planned("default", "mcunet", ["image_size=32", "classes=10"])
    cell = replace(next(each for each in cells.values() if each.method == "asi"), data=OWN_DATA)
    lines = lines_to_paste(cell)
    calls = []

    def loss(model, batch):
        calls.append(batch["x"].shape)
        return model(batch["x"]).square().mean()

    names = {"model": network_of(cell), "batch": {"x": torch.randn(2, 3, 32, 32)}, "loss": loss}
    exec("\n".join(lines), names)
    exec("\n".join(lines[lines.index("# each step") :]), names)
    assert calls == [(2, 3, 32, 32)] * 3  # to choose ranks, and two steps
    assert float(names["value"]) > 0


@pytest.mark.parametrize(
    "methods",
    [
        "[asi: {trained: 0.8}, wasi: {trained: 0.5}, svd: {trained: 0.9}]",
        "[compose: [asi: {trained: 0.8}, lean]]",
    ],
)
def test_ranks_of_trained_weights_come_from_their_table(workplace, methods):
    (workplace / "own.yaml").write_text(f"schema: 1\ntitle: t\nmethods: {methods}\n")
    cells = planned("own.yaml", "efficientnet_lite0", ["image_size=32", "classes=10"])
    assert cells
    for name, cell in cells.items():
        assert "trained.ranks(" in "\n".join(lines_to_paste(cell)), name
        first, second = train_as_pasted(cell)
        assert second < first * 2, name


BOTH_KINDS_OF_NORMS = """\
schema: 1
title: Norms that train, and norms that do not
methods: [lance: {epsilon: 0.8}, asi: {epsilon: 0.8}]
layers: [all, last: 2]
train: [{freeze_bn: true}, {freeze_bn: false}]
"""


def test_the_lines_calibrate_as_the_worker_does(workplace):
    """Ranks and bases depend on the mode in which batch-norm runs."""
    (workplace / "own.yaml").write_text(BOTH_KINDS_OF_NORMS)
    cells = planned("own.yaml", "mcunet", ["image_size=32", "classes=10"])
    assert len(cells) == 8
    for name, cell in cells.items():
        inputs, targets = torch.randn(4, 3, 32, 32), torch.arange(4)
        names = {"model": network_of(cell), "inputs": inputs, "targets": targets}
        lines = lines_to_paste(cell)
        exec("\n".join(lines[: lines.index("# each step")]), names)
        job = JobMaker(FakeHost(), None).job(cell, "calibrate")
        worker = treated_model(job, network_of(cell))
        worker.calibrate((inputs, targets))
        assert norms_in_training(names["model"]) == norms_in_training(worker.module), name
        assert names["treatment"].ranks() == worker.ranks(), name
        pairs = zip(names["treatment"].state(), worker.state(), strict=True)
        assert all(torch.equal(pasted, measured) for pasted, measured in pairs), name


def norms_in_training(model):
    modules = model.named_modules()
    return [name for name, each in modules if isinstance(each, nn.BatchNorm2d) and each.training]


def test_the_lines_name_the_allocator_that_was_measured(workplace):
    cell, *_ = planned("default", "mcunet", ["image_size=32", "classes=10"]).values()
    assert "allocator" not in "\n".join(lines_to_paste(cell))
    lines = lines_to_paste(replace(cell, allocator="jemalloc"))
    assert "# measured with the allocator jemalloc: preload it (LD_PRELOAD)" in lines
