"""The pilot pass: two steps, their seconds and their losses."""

from dataclasses import replace

import pytest

from ondevice_bench.suite.cell import Train
from ondevice_bench.worker.passes import pilot

TINY = {"model_options": (("depth", 1), ("image_size", 32), ("classes", 10))}


@pytest.fixture
def job(make_job):
    return make_job("pilot", "vit_b_32", **TINY)


def test_the_losses_are_those_of_two_steps(job):
    details = pilot.measure(job).details
    first, second = details["losses"]
    assert first > 0
    assert second != first
    assert all(details[name] > 0 for name in ("first_seconds", "step_seconds"))


def test_a_loss_that_is_not_a_number_is_none(job):
    wild = replace(job.cell, train=Train(lr=1e38, clip=None))
    first, second = pilot.measure(replace(job, cell=wild)).details["losses"]
    assert first > 0
    assert second is None
