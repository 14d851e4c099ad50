"""The pass of treated layers: which layers it times, and why it does not."""

import pytest

from ondevice_bench import metrics
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
    step = found.details["step_seconds"]
    assert 0 < found.metrics["treated_layers_seconds"] < step["with_clock"]
    assert step["without_clock"] > 0


def test_chosen_layers_that_stay_count_too(measured):
    small = {"model_options": (("classes", 10), ("image_size", 32))}
    found = measured("mcunet", method="gradient_filter", **small)
    plain = measured("mcunet", **small)
    assert found.details["timed_layers"] == plain.details["timed_layers"]
    count = len(found.details["timed_layers"])
    (note,) = [each for each in found.details["notes"] if "train as usual" in each]
    assert note.endswith(
        f"of {count} chosen layers train as usual and count in the time of the chosen layers"
    )


def test_a_method_that_replaces_no_layer_has_no_time_of_its_own(measured):
    found = measured(method="microbatch", method_options=(("slices", 2),))
    assert found.metrics == {}
    reason = "microbatch replaces no layer, so no layers are its own"
    assert found.unavailable == dict.fromkeys(NAMES, reason)


def test_a_repeated_forward_has_the_reason(measured):
    found = measured(
        "vit_b_32",
        model_options=(("classes", 10), ("depth", 1), ("image_size", 32)),
        method="asi+checkpoint",
        method_options=(("asi.rank", 2),),
    )
    assert "its forward runs again in backward" in found.unavailable["treated_layers_seconds"]


def test_a_clock_that_makes_steps_longer_is_told():
    assert treated_layers._slower(1.04, 1.0) == ""
    assert treated_layers._slower(1.1, 1.0) == (
        "the clock of the chosen layers makes a step 10% longer"
    )
