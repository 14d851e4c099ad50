"""The accuracy pass: a network learns digits, methods see equal examples, data without labels."""

from types import SimpleNamespace

import pytest
from torch.nn.functional import dropout

from ondevice_bench.data.batch import BatchStore
from ondevice_bench.models import resnet
from ondevice_bench.running.hosts.local import local_host
from ondevice_bench.running.queries import jobs
from ondevice_bench.specs.data import DataSource
from ondevice_bench.specs.weights import WeightSource
from ondevice_bench.suite.cell import Cell, Train
from ondevice_bench.suite.suite import Sampling
from ondevice_bench.worker import epochs
from ondevice_bench.worker.passes import accuracy

SMALL = (("image_size", 32), ("classes", 10))
LEARNING = Train(freeze_bn=False, momentum=0.9, lr=0.02)


@pytest.fixture
def learn(tmp_path, monkeypatch):
    pytest.importorskip("sklearn", reason="scikit-learn has the digits")
    monkeypatch.setattr(jobs, "HELD_OUT_EXAMPLES", 128)
    monkeypatch.setattr(resnet, "WIDTHS", (16, 32, 64, 128))

    def perform(data="digits", *, train=LEARNING, examples=64, **what):
        monkeypatch.setattr(jobs, "TRAINED_EXAMPLES", examples)
        maker = jobs.JobMaker(
            local_host(),
            BatchStore(tmp_path / "batches"),
            Sampling(),
            DataSource(data),
            {"random": WeightSource()},
        )
        said = {"method": "vanilla", "batch": 16, "data": data, "train": train, **what}
        return accuracy.measure(
            maker.job(Cell(id="c", model="resnet18", model_options=SMALL, **said), "accuracy")
        )

    return perform


def test_a_network_learns_digits(learn):
    found = learn(examples=512)
    assert found.details["accuracy_before"] < 0.4
    assert found.metrics["accuracy"] > 0.7
    assert (found.details["steps"], found.details["held_out"]) == (64, 128)
    first, last = found.details["losses"]
    assert last < first


def test_the_same_seed_learns_the_same(learn, monkeypatch):
    def workload_with_dropout(job, examples):
        workload = epochs.workload_of(job, examples)
        workload.model.register_forward_hook(lambda model, _, y: dropout(y, 0.5, model.training))
        return workload

    monkeypatch.setattr(accuracy, "epochs", SimpleNamespace(**vars(epochs)))
    monkeypatch.setattr(accuracy.epochs, "workload_of", workload_with_dropout)
    one, two = learn(), learn(method="microbatch", method_options=(("slices", 1),))
    assert one.metrics == two.metrics
    assert one.details["losses"] == two.details["losses"]


def test_data_without_labels_says_so(learn):
    found = learn("synthetic")
    assert found.metrics == {}
    assert found.unavailable == {"accuracy": "data synthetic has no labels to learn"}


def test_training_that_goes_wrong_has_no_accuracy_but_a_reason(learn):
    found = learn(train=Train(lr=1e30, clip=None, freeze_bn=False))
    assert found.metrics == {}
    assert found.unavailable == {"accuracy": "the loss was not finite"}
    assert found.details["losses"] is None
    assert found.details["notes"] == ["the loss was not finite"]
