"""The latency pass: one example at a time."""

import random
import time
from dataclasses import replace

import pytest
import torch

from ondevice_bench import metrics
from ondevice_bench.data import nested
from ondevice_bench.measure import interference
from ondevice_bench.measure.interference import Counters
from ondevice_bench.worker.passes import latency
from tests.workers import CONV

NAMES = set(metrics.of_pass("latency"))


def test_one_example_is_timed_often_enough_for_a_percentile(make_job, monkeypatch):
    sizes = set()
    plain = latency.build

    def built(job):
        workload = plain(job)
        infer = workload.infer

        def noted():
            sizes.update(len(leaf) for leaf in nested.leaves(workload.batch))
            infer()

        workload.infer = noted
        return workload

    monkeypatch.setattr(latency, "build", built)
    found = latency.measure(make_job("latency", CONV))
    assert sizes == {1}
    assert set(found.metrics) == NAMES
    assert len(found.samples["latency_seconds"]) >= latency.LEAST
    assert 0 < found.metrics["latency_seconds"] <= found.metrics["latency_p95_seconds"]


def test_what_stays_disturbed_is_noted(make_job, monkeypatch):
    monkeypatch.setattr(
        interference, "read", lambda: Counters(time.perf_counter(), 0.0, time.perf_counter(), 0, 0)
    )  # others take one core
    monkeypatch.setattr(interference, "SLACK", 0.0)
    found = latency.measure(make_job("latency", CONV))
    assert any(note.startswith("disturbed by other") for note in found.details["notes"])


@pytest.mark.parametrize("count", [40, 41, 57, 60, 100, 1000])
def test_the_percentile_is_the_smallest_time_that_95_of_100_keep(count):
    times = random.Random(count).sample(range(10_000), count)
    found = latency.percentile_95(times)
    assert found in times
    assert sum(each <= found for each in times) >= 0.95 * count
    shorter = [each for each in times if each < found]
    assert len(shorter) < 0.95 * count


def test_a_batch_that_cannot_be_cut_has_a_reason(make_job, monkeypatch):
    plain = latency.build

    def built(job):
        workload = plain(job)
        workload.batch = (workload.batch[0], torch.zeros(7))
        return workload

    monkeypatch.setattr(latency, "build", built)
    found = latency.measure(replace(make_job("latency", CONV)))
    assert found.metrics == {}
    assert set(found.unavailable) == NAMES
    assert "the batch cannot be cut" in found.unavailable["latency_seconds"]
