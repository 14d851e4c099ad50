"""The pass of treated layers: which layers it times, and why it does not."""

import pytest
from torch import nn

from ondevice_bench import metrics
from ondevice_bench.methods.treatment import treat
from ondevice_bench.worker.passes import treated_layers

CONV = "conv2d(4, 4, 3, padding=1) at 8x8"
NAMES = set(metrics.of_pass("treated_layers"))


@pytest.fixture
def measured(make_job):
    def of(model=CONV, **what):
        return treated_layers.measure(make_job("treated_layers", model, **what))

    return of


@pytest.mark.parametrize("method", ["vanilla", "gradient_filter"])
def test_the_chosen_layers_are_timed_with_and_without_a_method(measured, method):
    found = measured(method=method)
    assert set(found.metrics) == set(found.samples) == NAMES
    whole, forward, backward = (
        found.samples[f"treated_layers_{part}seconds"] for part in ("", "forward_", "backward_")
    )
    assert [f + b for f, b in zip(forward, backward, strict=True)] == whole
    assert found.details["timed_layers"] == ["layer"]
    inside = found.metrics["treated_layers_seconds"]
    assert 0 < inside < found.details["step_seconds"]
    assert found.metrics["treated_layers_inference_seconds"] > 0
    assert 0 < found.details["clock_seconds"] < found.details["step_seconds"]


def test_chosen_layers_that_stay_are_noted_and_those_of_plain_training_are_the_same():
    def network():
        return nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(4, 2))

    filtered, plain = treat(network(), "gradient_filter"), treat(network(), "vanilla")
    assert filtered.chosen == plain.chosen == ("0", "2")
    assert treated_layers._unchanged(plain) == []
    assert treated_layers._unchanged(filtered) == [
        "1 of 2 chosen layers train as usual and count in the time of the chosen layers"
    ]


def test_a_method_that_replaces_no_layer_has_no_time_of_its_own(measured):
    found = measured(method="microbatch", method_options=(("slices", 2),))
    assert found.metrics == {}
    reason = "microbatch replaces no layer, so no layers are its own"
    assert found.unavailable == dict.fromkeys(NAMES, reason)


@pytest.mark.parametrize(
    ("overlaps", "reason"),
    [
        (True, "its forward runs again in backward"),
        (False, "the network calls none of the chosen layers"),
    ],
)
def test_a_time_that_cannot_be_told_has_the_reason(measured, monkeypatch, overlaps, reason):
    def timed(step, layers, sampling, clock):
        clock.overlaps = overlaps

    monkeypatch.setattr(treated_layers, "time_layers", timed)
    assert reason in measured().unavailable["treated_layers_seconds"]


def test_a_clock_that_takes_much_of_a_step_is_told():
    assert treated_layers._slow_clock(0.04) == []
    assert treated_layers._slow_clock(0.12) == [
        "the clock of the chosen layers takes 12% of a step"
    ]
