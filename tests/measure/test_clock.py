import gc
import itertools
import resource
import time
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch

from ondevice_bench.measure import clock, interference
from ondevice_bench.suite.suite import Sampling

pytestmark = pytest.mark.alone


class Phases:
    """A subject whose phases are told apart by what they do to a fake clock."""

    def __init__(self, take):
        self.take = take
        self.calls = []

    parts = 1

    def forward(self, part=0):
        self.calls.append("forward")
        self.take(0.1)
        return torch.zeros(())

    def backward(self, loss):
        self.calls.append("backward")
        self.take(0.2)

    def update(self):
        self.calls.append("update")
        self.take(0.05)

    def infer(self):
        self.calls.append("infer")
        self.take(0.03)


@pytest.fixture
def fake_clock(monkeypatch):
    """A clock that only moves when it is told to."""
    now = [1_000_000_000]

    def take(seconds):
        now[0] += round(seconds * 1e9)

    monkeypatch.setattr(time, "perf_counter_ns", lambda: now[0])
    monkeypatch.setattr(time, "perf_counter", lambda: now[0] / 1e9)
    return take


def test_phases_are_told_apart_and_add_up(fake_clock):
    subject = Phases(fake_clock)
    timed = clock.time_steps(subject, Sampling(warmup=3, min_samples=6, max_samples=50))
    assert len(timed.warmups) == 3  # the third is no faster than the second
    assert len(timed.samples) == 6  # equal samples: the interval is a point at once
    assert (timed.ended_by, timed.precision_reached) == ("precision", 0)
    for step in timed.samples:
        assert step.forward_seconds == pytest.approx(0.1)
        assert step.backward_seconds == pytest.approx(0.2)
        assert step.update_seconds == pytest.approx(0.05)
        assert step.step_seconds == pytest.approx(0.35)
    assert subject.calls == ["forward", "backward", "update"] * 9


def test_parts_of_a_batch_add_up_within_their_phase(fake_clock):
    subject = Phases(fake_clock)
    subject.parts = 3
    (step, *_) = clock.time_steps(subject, Sampling(warmup=1, min_samples=6)).samples
    assert step.forward_seconds == pytest.approx(0.3)
    assert step.backward_seconds == pytest.approx(0.6)
    assert step.step_seconds == pytest.approx(0.95)
    assert subject.calls[:7] == [*["forward", "backward"] * 3, "update"]


def test_inference_is_timed_on_its_own(fake_clock):
    timed = clock.time_inference(Phases(fake_clock), Sampling(warmup=1, min_samples=6))
    # one was asked for; a second tells that it does not get faster
    assert (len(timed.warmups), timed.samples) == (2, pytest.approx([0.03] * 6))


def test_sampling_goes_on_until_the_median_is_known_or_a_bound_is_met(fake_clock):
    durations = iter([0.1, 0.5] * 500)

    class Noisy(Phases):
        def infer(self):
            self.take(next(durations))

    def ended(**bounds):
        limits = {"max_samples": 1000, "max_seconds": 1e9, "precision": 0.01, **bounds}
        timed = clock.time_inference(Noisy(fake_clock), Sampling(warmup=1, **limits))
        return len(timed.samples), timed.ended_by

    assert ended(min_samples=6, max_samples=30) == (30, "max_samples")
    assert ended(min_samples=6, max_seconds=3.0) == (10, "max_seconds")
    assert ended(min_samples=20, max_seconds=0.1) == (20, "max_seconds")


def test_the_precision_that_was_reached_is_told(fake_clock):
    two = Sampling(warmup=1, min_samples=2, max_samples=2)
    timed = clock.time_inference(Phases(fake_clock), two)
    assert timed.precision(two) == {"asked": 0.02, "reached": None, "ended_by": "max_samples"}


def test_garbage_is_not_collected_during_samples_and_is_afterwards(fake_clock):
    seen = []

    class Looks(Phases):
        def infer(self):
            seen.append(gc.isenabled())
            if len(seen) == 8:
                raise RuntimeError("stop")

    assert gc.isenabled()
    with pytest.raises(RuntimeError):
        clock.time_inference(Looks(fake_clock), Sampling(warmup=1, min_samples=20))
    assert seen == [True] * 2 + [False] * 6
    assert gc.isenabled()


def test_a_machine_without_proc_stat_leaves_the_column_out(monkeypatch, tmp_path, fake_clock):
    monkeypatch.setattr(interference, "_STAT", tmp_path / "none")
    steps = clock.time_steps(Phases(fake_clock), Sampling(warmup=1, min_samples=6)).samples
    assert "foreign_cpu_seconds" not in clock.columns(steps)
    assert len(clock.columns(steps)["step_seconds"]) == 6
    assert clock.foreign_share(steps) is None
    timed = clock.time_steps(Phases(fake_clock), Sampling(warmup=1, min_samples=6))
    assert timed.foreign_share is None


def test_the_foreign_share_is_of_wall_time(monkeypatch, fake_clock):
    monkeypatch.setattr(interference, "read", others_take(fake_clock, lambda _: 0.02))
    steps = clock.time_steps(Phases(fake_clock), Sampling(warmup=1, min_samples=6)).samples
    assert clock.foreign_share(steps) == pytest.approx(0.02 / 0.35)


@pytest.mark.parametrize(
    ("foreign", "stolen", "throttled", "expected"),
    [
        (-0.07, 0.07, None, 0.2),  # the time of the process includes what was stolen
        (0.0, 0.0, 0.14, 0.4),
        (None, None, 0.14, None),
    ],
)
def test_a_quota_and_a_hypervisor_take_shares_too(fake_clock, foreign, stolen, throttled, expected):
    (step, *_) = clock.time_steps(Phases(fake_clock), Sampling(warmup=1, min_samples=6)).samples
    taken = replace(
        step,
        foreign_cpu_seconds=foreign,
        stolen_cpu_seconds=stolen,
        throttled_seconds=throttled,
    )
    share = clock.foreign_share([taken, taken])
    assert share == (None if expected is None else pytest.approx(expected))


def others_take(take, share):
    """A machine on which others take so much of a core, by the second of the fake clock."""
    start = time.perf_counter()
    taken = [0.0, start]

    def read():
        now = time.perf_counter()
        taken[0] += share(now - start) * (now - taken[1]) / 0.35
        taken[1] = now
        return interference.Counters(now, 0.0, taken[0], 0.0, None)

    return read


def test_disturbed_samples_are_measured_again(monkeypatch, fake_clock):
    # for the first ten seconds somebody takes half a core
    monkeypatch.setattr(
        interference, "read", others_take(fake_clock, lambda s: 0.35 * (s < 10) / 2)
    )
    sampling = Sampling(warmup=1, min_samples=6, max_samples=50)
    timed = clock.time_steps(Phases(fake_clock), sampling)
    assert len(timed.samples) == 6
    assert clock.foreign_share(timed.samples) == pytest.approx(0, abs=0.05)
    assert 20 <= len(timed.disturbed) <= 32
    assert not timed.spoilt
    assert timed.foreign_share == pytest.approx(0, abs=0.05)
    assert timed.notes == []


@pytest.mark.parametrize(
    ("bound", "count"), [({"max_samples": 20}, 6), ({"max_samples": 50, "max_seconds": 3}, 10)]
)
def test_what_stays_disturbed_is_said(monkeypatch, fake_clock, bound, count):
    monkeypatch.setattr(interference, "read", others_take(fake_clock, lambda _: 0.35 / 2))
    sampling = Sampling(warmup=1, min_samples=6, **bound)
    timed = clock.time_steps(Phases(fake_clock), sampling)
    assert timed.spoilt
    assert timed.notes == [clock.SPOILT]
    assert timed.foreign_share == pytest.approx(0.5, abs=0.1)
    assert len(timed.samples) >= count
    assert len(timed.disturbed) <= 20


@pytest.mark.parametrize(("pages", "waits"), [(0, []), (7, ["a step waited for 7 pages"])])
def test_steps_that_wait_for_pages_are_noted(monkeypatch, fake_clock, pages, waits):
    major = itertools.count(step=pages)  # it is read before and after each step
    monkeypatch.setattr(
        resource,
        "getrusage",
        lambda _: SimpleNamespace(ru_minflt=0, ru_majflt=next(major), ru_nivcsw=0),
    )
    timed = clock.time_steps(Phases(fake_clock), Sampling(warmup=1, min_samples=6))
    notes = clock.notes_of_faults(timed.samples)
    assert [
        note.partition(" from swap or from a disk. So its time is")[0] for note in notes
    ] == waits


def test_warming_up_goes_on_while_it_gets_faster(fake_clock):
    durations = iter([1.0, 0.8, 0.6, 0.5, *[0.49] * 100])

    class Warming(Phases):
        def infer(self):
            self.take(next(durations))

    timed = clock.time_inference(Warming(fake_clock), Sampling(warmup=2, min_samples=6))
    assert timed.warmups == pytest.approx([1.0, 0.8, 0.6, 0.5, 0.49])
    assert timed.samples == pytest.approx([0.49] * 6)


def test_warming_up_has_a_bound(fake_clock):
    durations = iter(2.0**-n for n in range(1000))

    class Endless(Phases):
        def infer(self):
            self.take(next(durations))

    sampling = Sampling(warmup=2, min_samples=6, max_samples=6)
    assert len(clock.time_inference(Endless(fake_clock), sampling).warmups) == 12
