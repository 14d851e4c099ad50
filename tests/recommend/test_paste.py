"""The lines to paste are run, for every candidate of our space and for what else a space can say."""

import runpy
from dataclasses import replace

import pytest
import torch
from torch import nn

from ondevice_bench.models.families import family
from ondevice_bench.models.family import cross_entropy
from ondevice_bench.recommend.candidates import planned_in
from ondevice_bench.recommend.paste import lines_to_paste
from ondevice_bench.running.hosts.fake import FakeHost
from ondevice_bench.running.queries import user_models
from ondevice_bench.running.queries.jobs import JobMaker
from ondevice_bench.specs import registry
from ondevice_bench.suite.board import HERE
from ondevice_bench.suite.from_flags import Words
from ondevice_bench.suite.space import load_space
from ondevice_bench.worker.workload import treated_model
from tests.running import user_code

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
    options = {**(spec.fixed or {}), **defaults, **dict(cell.model_options)}
    model = network.construct(**options)
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


OWN_NETWORK = """\
import torch
from torch import nn

def net(image_size=8):
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(4 * (image_size - 2) ** 2, 5))
"""
OWN_BATCH = """\
def batch(size, seed):
    return torch.zeros(size, 3, 8, 8), torch.zeros(size, dtype=torch.int64)
"""
OWN_LOSS = """\
def loss(model, batch):
    return model(batch[0]).square().mean()
"""


@pytest.mark.parametrize("has_batch", [False, True])
@pytest.mark.parametrize("has_loss", [False, True])
def test_the_lines_take_the_batch_and_the_loss_that_a_file_has(workplace, has_batch, has_loss):
    text = "\n".join([OWN_NETWORK, *[OWN_BATCH] * has_batch, *[OWN_LOSS] * has_loss])
    (workplace / "mynet.py").write_text(text)
    (workplace / "own.yaml").write_text("schema: 1\ntitle: t\nmethods: [asi: {epsilon: 0.8}]\n")
    suite = Words(["./mynet.py:net"], batches=[4]).suite()
    user_models.describe(user_code.HERE, suite)
    (item,) = planned_in(load_space("own.yaml"), suite, HERE)
    own, batch = runpy.run_path("mynet.py"), (torch.randn(4, 3, 8, 8), torch.arange(4))
    names = {"model": own["net"]()}
    names |= {"batch": batch} if has_batch else {"inputs": batch[0], "targets": batch[1]}
    names |= {"loss": own["loss"]} if has_loss else {}
    expected = own.get("loss", cross_entropy)(names["model"], batch)
    exec("\n".join(lines_to_paste(item.cell)), names)
    torch.testing.assert_close(names["value" if has_loss else "loss"], expected.detach())


def test_a_network_of_ours_with_a_loss_of_its_own_trains_by_it(workplace):
    (workplace / "own.yaml").write_text("schema: 1\ntitle: t\nmethods: [vanilla]\n")
    options = ["auxiliary=true", "image_size=32", "classes=10"]
    (cell,) = planned("own.yaml", "pspnet", options).values()
    names = {
        "model": network_of(cell),
        "inputs": torch.randn(4, 3, 32, 32),
        "targets": torch.zeros(4, 32, 32, dtype=torch.int64),
    }
    exec("\n".join(lines_to_paste(cell)), names)
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
