"""The time of an epoch, by its definition."""

from dataclasses import replace

import pytest

from ondevice_bench.analyse.epoch import epoch_of, training_examples
from ondevice_bench.data.split import rows
from ondevice_bench.specs.data import TRAIN
from ondevice_bench.suite.matrix import OWN_DATA
from tests.record.conftest import CELL, make_record, make_run, planned

SAMPLES = [1.0, 1.0, 2.0, 2.0, 3.0, 3.0, 3.0]


@pytest.fixture
def epoch(summary_of):
    """The epoch of a cell with this data, on a run with these settings."""

    def of(data, samples=SAMPLES, batch=8, **settings):
        cell = replace(CELL, data=data, batch=batch)
        run = make_run(settings={**make_run().settings, **settings})
        middle = sorted(samples)[len(samples) // 2] if samples else 0
        measured = {"metrics": {"step_seconds": middle}, "samples": {"step_seconds": samples}}
        record = make_record(
            cell=cell,
            **(measured if samples else {"status": "failed", "reason": "no such operator"}),
        )
        summary = summary_of([record], planned(cell), run)
        return summary.cells[0].estimates.get("step_seconds"), epoch_of(run, summary.cells[0])

    return of


def test_an_epoch_is_its_steps_times_the_time_of_a_step(epoch):
    step, found = epoch("cifar10:cifar@12345678")
    assert (found.examples, found.steps) == (50_000, 50_000 // 8)
    assert found.seconds.estimate == 6250 * 2.0 == 6250 * step.estimate
    assert found.seconds.lower == 6250 * step.lower
    assert found.seconds.upper == 6250 * step.upper
    assert found.reason == ""


def test_the_last_step_counts_as_a_whole_one(epoch):
    _, found = epoch("folder:mine@12345678", examples=10)
    assert (found.examples, found.steps) == (8, 1)
    _, found = epoch("folder:mine@12345678", examples=12)
    assert (found.examples, found.steps) == (9, 2)


def test_without_an_interval_of_the_step_there_is_none_of_the_epoch(epoch):
    _, found = epoch("digits", samples=[2.0])
    assert (found.seconds.lower, found.seconds.upper) == (None, None)
    assert found.seconds.estimate == 2.0 * found.steps


@pytest.mark.parametrize("count", [1, 2, 4, 5, 6, 1797])
def test_the_examples_of_an_epoch_are_those_that_the_split_does_not_hold_out(count):
    for data in ("npz:mine.npz@12345678", "pets:mine@12345678"):
        found, _ = training_examples(data, count)
        assert found == len(rows(count, TRAIN))


def test_the_digits_are_those_of_the_library():
    sklearn = pytest.importorskip("sklearn.datasets", reason="scikit-learn has the digits")
    count = len(sklearn.load_digits().images)
    assert training_examples("digits", None) == (len(rows(count, TRAIN)), "")


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        ("synthetic", "synthetic data has no end"),
        ("synthetic(decay=1)", "synthetic data has no end"),
        ("photos", "random crops of two photographs"),
        ("text@154c4d95", "windows at random places"),
        ("folder:mine@12345678", "the run does not say how many examples folder:mine@12345678 has"),
        # CIFAR-10 that the user calls by the name of other data
        ("mnist:cifar@12345678", "the number of examples is unknown: data is mnist:cifar@12345678"),
        (OWN_DATA, "the number of examples is unknown: data is the batch function"),
    ],
)
def test_without_a_number_of_examples_the_reason_is_given(epoch, data, reason):
    _, found = epoch(data)
    assert (found.examples, found.steps, found.seconds) == (None, None, None)
    assert reason in found.reason


def test_a_step_that_was_not_measured_gives_its_reason(epoch):
    _, found = epoch("digits", samples=[])
    assert (found.examples, found.steps, found.seconds) == (1437, 180, None)
    assert found.reason == (
        "the time of a step was not measured: time, round 1: failed: no such operator"
    )


def test_the_energy_of_an_epoch_is_that_of_its_steps(summary_of):
    cell = replace(CELL, data="cifar10:cifar@12345678", batch=8)
    run = make_run(settings={**make_run().settings, "measure": ["energy", "sustained"]})
    short = make_record(cell=cell, pass_name="energy", metrics={"step_joules": 3.0})
    long = make_record(cell=cell, pass_name="sustained", metrics={"sustained_step_joules": 4.0})
    for records, joules in (([short], 6250 * 3.0), ([short, long], 6250 * 4.0)):
        summary = summary_of(records, planned(cell), run)
        assert epoch_of(run, summary.cells[0]).joules.estimate == joules


def test_an_epoch_without_energy_says_why(summary_of):
    cell = replace(CELL, data="cifar10:cifar@12345678", batch=8)
    run = make_run(settings={**make_run().settings, "measure": ["sustained"]})
    record = make_record(
        cell=cell,
        pass_name="sustained",
        metrics={"steps_per_minute": 1.0},
        unavailable={"sustained_step_joules": "the meter ended"},
    )
    found = epoch_of(run, summary_of([record], planned(cell), run).cells[0])
    assert found.joules is None
    assert "the energy of a step was not measured: the meter ended" in found.why_no_joules
