"""The passes learning and learning_rate, against a plain loop of torch that is written here."""

from contextlib import contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy
import pytest
import torch
from torch import nn
from torch.nn import functional

from ondevice_bench.analyse.process_notes import is_disturbed
from ondevice_bench.data import nested
from ondevice_bench.data.batch import BatchStore, NoBatch
from ondevice_bench.measure import energy
from ondevice_bench.passes import LEARNING, LEARNING_RATE
from ondevice_bench.protocol.job import Job
from ondevice_bench.record.details import Details
from ondevice_bench.running.hosts.local import local_host
from ondevice_bench.running.queries.jobs import JobMaker
from ondevice_bench.specs import registry
from ondevice_bench.specs.data import parse
from ondevice_bench.specs.inputs import Images, to_dict
from ondevice_bench.specs.weights import WeightSource
from ondevice_bench.suite.cell import Cell, LearningPlan, Train
from ondevice_bench.suite.suite import Sampling
from ondevice_bench.worker import epochs
from ondevice_bench.worker.passes import learning, learning_rate
from tests.workers import busy_machine

NETWORK = """
from torch import nn

def net():
    return nn.Sequential(nn.Flatten(), nn.Linear(3 * 4 * 4, 6), nn.Tanh(), nn.Linear(6, 3))
"""
INPUTS = Images(channels=3, size=4, classes=3)
PLAN = LearningPlan(epochs=3, examples=40, validation=20, test=30, rate_epochs=3)
COUNT = 200


@pytest.fixture
def labels(request):
    """The labels of the examples, in turns."""
    return numpy.resize(getattr(request, "param", [0, 1, 2]), COUNT)


@pytest.fixture
def data(tmp_path, labels):
    """Squares of three brightnesses with noise. The first pixel tells one example from another."""
    stream = numpy.random.default_rng(0)
    images = stream.integers(0, 60, (COUNT, 4, 4, 3)) + labels[:, None, None, None] * 60
    images[:, 0, 0, 0] = numpy.arange(COUNT)
    numpy.savez(tmp_path / "d.npz", images=images.astype(numpy.uint8), labels=labels)
    return parse(f"npz: {tmp_path / 'd.npz'}", tmp_path)


@pytest.fixture
def make(tmp_path, data):
    """The job that the parent would make, over a network of the user's."""
    (tmp_path / "net.py").write_text(NETWORK)
    maker = JobMaker(
        local_host(), BatchStore(tmp_path / "b"), Sampling(), data, {"random": WeightSource()}
    )

    def job(pass_name, plan=PLAN, **train):
        cell = Cell(
            id="c",
            model="resnet18",
            method="vanilla",
            batch=8,
            dtype="float64",
            data=data.name,
            train=Train(**train),
            learning=plan,
            model_options=(("image_size", 4), ("classes", 3)),
        )
        made = maker.job(cell, pass_name)
        assert made.inputs == to_dict(INPUTS)
        return replace(made, model=f"{tmp_path / 'net.py'}:net", model_options={}, layout=None)

    return job


def examples(job: Job, split):
    inputs, targets = nested.read(Path(job.examples[split]))
    return inputs.double(), targets


def plain_loop(job, rate, epochs, tested):
    """Accuracy before training and after each epoch, the losses, by torch alone."""
    torch.manual_seed(job.cell.seed)
    net = nn.Sequential(nn.Flatten(), nn.Linear(48, 6), nn.Tanh(), nn.Linear(6, 3)).double()
    optimizer = torch.optim.SGD(net.parameters(), lr=rate, weight_decay=1e-4)
    inputs, targets = examples(job, "learn")
    order = torch.Generator().manual_seed(job.cell.seed)

    def right():
        with torch.no_grad():
            return float((net(tested[0]).argmax(1) == tested[1]).double().mean())

    accuracy, losses = [right()], []
    for _ in range(epochs):
        epoch = []
        for places in torch.randperm(len(inputs), generator=order).split(8):
            loss = functional.cross_entropy(net(inputs[places]), targets[places])
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(net.parameters(), 2.0)
            optimizer.step()
            epoch.append(loss.item())
        losses.append(sum(epoch) / len(epoch))
        accuracy.append(right())
    return accuracy, losses


def test_the_curve_is_that_of_a_plain_loop(make):
    job = make(LEARNING, lr=0.3)
    found = learning.measure(job)
    accuracy, losses = plain_loop(job, 0.3, 3, examples(job, "held out"))
    curve = found.details["learned"]
    assert curve["accuracy"] == accuracy
    assert curve["loss"] == pytest.approx(losses, rel=1e-12)
    assert accuracy[-1] > accuracy[0]
    assert found.metrics["final_accuracy"] == accuracy[-1]
    assert found.metrics["loss_after_training"] == curve["loss"][-1]
    assert found.metrics["training_seconds"] == curve["seconds"][-1]
    assert (curve["rate"], curve["examples"], curve["test"]) == (0.3, 40, 30)
    assert len(curve["seconds"]) == 4
    assert curve["seconds"] == sorted(curve["seconds"])


@pytest.mark.parametrize(("cores", "disturbed"), [(0.0, False), (9.0, True)])
def test_a_training_that_other_programs_disturbed_is_marked(make, monkeypatch, cores, disturbed):
    busy_machine(monkeypatch, cores)
    found = learning.measure(make(LEARNING, lr=0.3))
    assert is_disturbed(Details.from_dict(found.details)) == disturbed


def test_the_rate_is_that_with_the_highest_accuracy_on_the_validation_examples(make):
    rates = (0.01, 0.3, 1.0)
    job = make(LEARNING_RATE, replace(PLAN, learning_rates=rates))
    found = learning_rate.measure(job).details
    validated = examples(job, "validation")
    expected = [plain_loop(job, rate, PLAN.rate_epochs, validated)[0][-1] for rate in rates]
    assert [tried["accuracy"] for tried in found["tried_rates"]] == expected
    assert expected[1] > max(expected[0], expected[2])
    assert (found["chosen_rate"], found["notes"]) == (0.3, [])


def test_of_equal_rates_the_lowest_is_chosen_and_an_end_of_the_grid_is_said(make):
    found = learning_rate.measure(
        make(LEARNING_RATE, replace(PLAN, learning_rates=(1e-9, 2e-9)))
    ).details
    assert found["chosen_rate"] == 1e-9
    assert found["notes"] == [
        "the chosen learning rate 1e-09 is the lowest of the grid: try a wider one"
    ]


def first_pixels(path):
    return {row.numpy().tobytes() for row in nested.read(Path(path))[0]}


def test_no_test_example_is_in_any_other_batch(make):
    """Each example has pixels of its own."""
    plan = replace(PLAN, examples=COUNT, validation=COUNT, test=COUNT, learning_rates=(1, 2))
    choosing, training = make(LEARNING_RATE, plan), make(LEARNING, plan)
    assert set(choosing.examples) == {"learn", "validation"}
    assert set(training.examples) == {"learn", "held out"}
    tested = first_pixels(training.examples["held out"])
    learned = first_pixels(training.examples["learn"])
    validated = first_pixels(choosing.examples["validation"])
    assert first_pixels(choosing.examples["learn"]) == learned
    assert (len(tested), len(validated), len(learned)) == (40, 40, 120)
    assert not tested & learned
    assert not tested & validated
    assert not learned & validated
    for pass_name in ("calibrate", "trace"):
        assert first_pixels(make(pass_name, plan).batch_path) <= learned


def test_the_test_examples_do_not_change_the_chosen_rate(make, tmp_path):
    plan = replace(PLAN, learning_rates=(0.01, 0.3))
    before = learning_rate.measure(make(LEARNING_RATE, plan)).details
    packed = dict(numpy.load(tmp_path / "d.npz"))
    packed["images"][::5] = 255 - packed["images"][::5]
    packed["labels"][::5] = 0
    numpy.savez(tmp_path / "d.npz", **packed)
    job = make(LEARNING_RATE, replace(plan, test=PLAN.test + 1))
    for path in (tmp_path / "b").iterdir():
        path.unlink()  # they are of the earlier data
    job = make(LEARNING_RATE, plan)
    assert learning_rate.measure(job).details == before


def test_training_that_is_not_finite_has_its_reason(make):
    found = learning.measure(make(LEARNING, lr=1e200, clip=None))
    assert found.metrics == {}
    reason = found.unavailable["final_accuracy"]
    assert reason.startswith("the loss was not finite in step ")
    assert set(found.unavailable.values()) == {reason}
    assert len(found.details["learned"]["accuracy"]) == 1


def test_a_score_that_is_no_number_gives_no_accuracy():
    """The largest of several scores with a NaN among them is the NaN."""
    as_it_is = SimpleNamespace(model=nn.Identity(), evaluating=nullcontext)
    targets = torch.tensor([1, 0])
    scores = torch.tensor([[0.0, 1.0], [0.0, 1.0]])
    assert epochs.finite_accuracy(as_it_is, (scores, targets), 2) == 0.5
    scores[1, 0] = float("nan")
    with pytest.raises(epochs.NotFinite, match="a score of the test is not a number"):
        epochs.finite_accuracy(as_it_is, (scores, targets), 2)


def test_a_rate_that_is_not_finite_loses_with_its_reason(make):
    job = make(LEARNING_RATE, replace(PLAN, learning_rates=(0.1, 1e200)), clip=None)
    found = learning_rate.measure(job).details
    assert found["chosen_rate"] == 0.1
    assert "not finite" in found["tried_rates"][1]["reason"]
    every = make(LEARNING_RATE, replace(PLAN, learning_rates=(1e200, 2e200)), clip=None)
    assert learning_rate.measure(every).details["chosen_rate"] is None


def test_dropout_is_drawn_from_the_seed_alone(make, tmp_path):
    job = make(LEARNING, lr=0.1)
    (tmp_path / "net.py").write_text(NETWORK.replace("nn.Tanh()", "nn.Tanh(), nn.Dropout()"))
    first = learning.measure(job).details["learned"]["loss"]
    torch.rand(7)
    assert learning.measure(job).details["learned"]["loss"] == first


class Constant:
    """A meter that gives two joules for whatever lies between two marks."""

    scope = "a meter of this test"
    marks = 0

    def __init__(self, power=None):
        pass

    @contextmanager
    def begin(self):
        yield self

    def mark(self):
        self.marks += 1
        return float(self.marks)

    def settle(self):
        pass

    def joules(self, start, end):
        return 2.0


def test_time_and_energy_to_the_target_are_those_of_the_first_test_that_reaches_it(
    make, monkeypatch
):
    monkeypatch.setattr(energy, "meter", Constant)
    plan = replace(PLAN, epochs=4, target=0.8)
    found = learning.measure(make(LEARNING, plan, lr=0.3))
    curve = found.details["learned"]
    assert max(curve["accuracy"][:3]) < 0.8 < curve["accuracy"][3]
    assert found.metrics["time_to_accuracy_seconds"] == curve["seconds"][3]
    assert curve["joules"] == [0.0, 2.0, 4.0, 6.0, 8.0]
    assert found.metrics["energy_to_accuracy_joules"] == 6.0
    assert found.metrics["training_joules"] == 8.0
    assert "the energy is that of a meter of this test" in found.details["notes"]


def test_a_target_that_is_not_reached_gives_no_number_but_a_reason(make, monkeypatch):
    monkeypatch.setattr(energy, "meter", Constant)
    found = learning.measure(make(LEARNING, replace(PLAN, target=1.0), lr=1e-6))
    assert not {"time_to_accuracy_seconds", "energy_to_accuracy_joules"} & set(found.metrics)
    reason = found.unavailable["time_to_accuracy_seconds"]
    assert reason.startswith("no test reached 100.0% within 3 epochs (highest: ")
    assert found.unavailable["energy_to_accuracy_joules"] == reason


@pytest.mark.parametrize("labels", [[0, 1, 2, 0, 1]], indirect=True)
def test_labels_in_turns_of_five_leave_one_class_to_test_on_which_is_said(make):
    said = "have one class, so their accuracy says little: mix the data"
    found = learning.measure(make(LEARNING, lr=0.3))
    assert f"all examples to test on {said}" in found.details["notes"]
    plan = replace(PLAN, learning_rates=(0.1, 0.3, 1.0))
    found = learning_rate.measure(make(LEARNING_RATE, plan))
    assert f"all examples to choose the learning rate by {said}" in found.details["notes"]


def test_fewer_validation_examples_than_asked_for_are_said(make):
    plan = replace(PLAN, validation=50, learning_rates=(1e-9, 0.3, 0.4))
    found = learning_rate.measure(make(LEARNING_RATE, plan)).details
    said = "40 examples to choose the learning rate by, not 50: the data has no more"
    assert said in found["notes"]
    assert {tried["examples"] for tried in found["tried_rates"]} == {40}


def test_a_meter_that_fails_ends_the_joules_and_not_the_training(make, monkeypatch):
    class Failing(Constant):
        def joules(self, start, end):
            raise energy.EnergyUnavailable("it stalled")

    monkeypatch.setattr(energy, "meter", Failing)
    found = learning.measure(make(LEARNING, lr=0.3))
    monkeypatch.setattr(energy, "meter", Constant)
    assert (
        found.details["learned"]["loss"]
        == learning.measure(make(LEARNING, lr=0.3)).details["learned"]["loss"]
    )
    assert found.details["learned"]["joules"] == []
    assert found.unavailable["training_joules"] == "it stalled"


@pytest.mark.parametrize(
    ("accuracy", "target", "epoch"),
    [
        ([0.1, 0.5, 0.9], 0.9, 2),
        ([0.1, 0.5, 0.9], 0.4, 1),  # nothing is interpolated
        ([0.1, 0.9, 0.5], 0.8, 1),  # a later fall does not count
        ([0.1, 0.5, 0.9], 0.1, 0),  # before training
        ([0.1, 0.5, 0.9], 0.91, None),
        ([0.1, 0.5, 0.9], None, None),
    ],
)
def test_the_first_test_that_reaches_the_target_counts(accuracy, target, epoch):
    assert learning.epoch_of_target(accuracy, target) == epoch


def test_fewer_examples_than_asked_for_are_said(make):
    found = learning.measure(make(LEARNING, replace(PLAN, examples=500, test=50)))
    assert found.details["notes"][:2] == [
        "120 examples to learn from, not 500: the data has no more",
        "40 examples to test on, not 50: the data has no more",
    ]


def test_examples_of_one_class_or_too_few_are_refused_in_one_line(make, tmp_path):
    packed = dict(numpy.load(tmp_path / "d.npz"))
    numpy.savez(tmp_path / "d.npz", images=packed["images"], labels=packed["labels"] * 0)
    with pytest.raises(NoBatch, match=r"^data: npz:d.npz@\w+ has one class only, so there is "):
        make(LEARNING)
    few = {name: array[:1] for name, array in packed.items()}
    numpy.savez(tmp_path / "d.npz", **few)
    with pytest.raises(
        NoBatch, match=r"^data: there are too few examples: none is left for the split"
    ):
        make(LEARNING)


def test_the_model_of_these_jobs_has_the_images_that_they_read():
    assert registry.model("resnet18").inputs({"image_size": 4, "classes": 3}) == INPUTS
