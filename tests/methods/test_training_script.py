"""The lines that the page and `bench show cell` give for a cell train with its method."""

import re
from pathlib import Path

import pytest
import torch
from torch import nn

from ondevice_bench.methods.treatment import Treatment
from ondevice_bench.specs import mix
from ondevice_bench.suite.cell import Cell, Train
from ondevice_bench.suite.matrix import OWN_DATA
from ondevice_bench.suite.training_script import MAYBE_A_LOSS, NO_TABLE, training_lines

DOCS = Path(__file__).parents[2] / "docs" / "methods.md"
OWN = """
from ondevice_bench.methods.vanilla import Vanilla


class Mine(Vanilla):
    pass
"""


def cell(method, *options, train=None, **what):
    values = {"model": "net", "batch": 8, "layers": "all", **what}
    return Cell(id=method, method=method, method_options=options, train=train or Train(), **values)


@pytest.fixture
def names():
    """What a user has before the lines."""
    torch.manual_seed(0)
    batches = [(torch.randn(8, 3, 6, 6), torch.randint(0, 4, (8,))) for _ in range(2)]
    layers = nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(64, 8), nn.Linear(8, 4)
    return {"model": nn.Sequential(*layers), "batches": batches, "batch": batches[0]}


UNCLIPPED = Train(clip=None)
CELLS = [
    cell("asi", ("fraction", 0.5), ("sequential", True)),
    cell("wasi", ("epsilon", 0.8), layers="last:1"),
    cell("hosvd", ("rank", "2x2x2x2"), layers="conv"),
    cell("lance", ("fraction", 0.5)),
    cell("saved", ("bits", 4)),
    cell("microbatch", ("slices", 4)),
    cell("update_in_backward", train=UNCLIPPED),
    cell("asi+lean", ("asi.fraction", 0.5)),
    cell("asi+microbatch", ("asi.epsilon", 0.9), ("microbatch.slices", 2)),
    cell("lora", ("rank", 2), train=Train(optimizer="adamw", weight_decay=0.0)),
    cell(
        mix.name_of([mix.Entry("last:1", ("asi",)), mix.Entry("all", ("lean", "bias_only"))]),
        ("last:1=asi.fraction", 0.5),
    ),
]


@pytest.mark.parametrize("of", CELLS, ids=[each.id for each in CELLS])
def test_the_lines_train_a_network(names, of):
    before = {name: each.clone() for name, each in names["model"].state_dict().items()}
    lines = training_lines(of)
    exec(lines, names)
    assert isinstance(names["treatment"], Treatment)
    assert isinstance(names["plain"][3], nn.Linear)
    after = names["plain"].state_dict()
    assert any(not torch.equal(after[name], before[name]) for name in before)


@pytest.mark.parametrize("file", ["mine.py", "my@v2.py"])
def test_a_method_in_a_file_has_its_path_and_a_batch_first(names, tmp_path, monkeypatch, file):
    (tmp_path / file).write_text(OWN)
    monkeypatch.chdir(tmp_path)
    lines = training_lines(cell(f"{file}:Mine@0123abcd"))
    assert f'treat(model, "./{file}:Mine", layers="all")' in lines
    exec(lines, names)


def test_options_of_the_optimizer_are_those_of_the_cell():
    train = Train(optimizer="adamw", lr=0.001, momentum=0.9, weight_decay=0.0, clip=None)
    assert 'treatment.optimizer(lr=0.001, momentum=0.9, kind="adamw")' in training_lines(
        cell("lean", train=train)
    )


def test_microbatch_says_what_an_exact_gradient_needs():
    assert "frozen batch-norm" in training_lines(cell("microbatch"))
    thawed = Train(freeze_bn=False)
    assert "frozen batch-norm" not in training_lines(cell("microbatch", train=thawed))


def test_a_network_with_batches_of_its_own_trains_with_the_loss_of_its_file(names):
    calls = []

    def loss(model, batch):
        calls.append(len(batch[0]))
        return model(batch[0]).square().mean()

    lines = training_lines(cell("wasi", ("epsilon", 0.8), layers="last:1", data=OWN_DATA))
    assert "treatment.calibrate(batch, loss)" in lines
    exec(lines, names | {"loss": loss})
    assert calls == [8, 8, 8]  # to choose ranks, and two steps
    sliced = training_lines(cell("microbatch", ("slices", 4), data=OWN_DATA))
    exec(sliced, names | {"loss": loss})
    assert calls[3:] == [2] * 8


def test_a_single_layer_trains_by_its_inner_product():
    torch.manual_seed(0)
    name, layer = "linear(6, 4) at 3", nn.Sequential(nn.Linear(6, 4))
    lines = training_lines(cell("asi", ("epsilon", 0.8), model=name))
    batches = [(torch.randn(8, 3, 6), torch.randn(8, 3, 4))]
    exec(lines, found := {"model": layer, "batches": batches, "batch": batches[0]})
    assert found["value"].ndim == 0


@pytest.mark.parametrize(
    ("model", "asks"),
    [
        ("net.py:net@0123abcd", True),
        ("package.module:net", True),
        ("torchvision:resnet18", False),
        ("mcunet", False),
    ],
)
def test_the_lines_ask_for_a_loss_of_a_users_file(model, asks):
    assert (MAYBE_A_LOSS in training_lines(cell("lean", model=model))) == asks


def test_plain_training_needs_no_lines_and_ranks_of_a_table_have_none():
    assert training_lines(cell("vanilla")) == ""
    assert training_lines(cell("asi", ("trained", 0.9))) == NO_TABLE.format(model="net")


def test_the_docs_show_the_same_lines():
    (block, *_) = re.findall(r"^```python\n(.*?)\n```", DOCS.read_text(), re.DOTALL | re.MULTILINE)
    assert block == training_lines(cell("wasi", ("epsilon", 0.8)))
