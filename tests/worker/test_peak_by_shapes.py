"""The peak by shapes is the same in the passes shapes and live_peak: one may stand for the other."""

import pytest

from ondevice_bench.measure.activations import storage_bytes
from ondevice_bench.measure.fake_live import peak_of_step
from ondevice_bench.suite.cell import Train
from ondevice_bench.worker.fake_workload import fake_workload
from ondevice_bench.worker.passes import live_peak, shapes
from tests.workers import CONV

pytestmark = pytest.mark.usefixtures("narrow_networks")

VIT = {"model": "vit_b_32", "model_options": (("depth", 1), ("image_size", 32), ("classes", 10))}
KINDS = {  # of what a method does: nothing, blocks, slices, inputs and weights, updates, gradients
    "vanilla": VIT,
    "checkpoint": VIT,
    "microbatch": VIT,
    "wasi": {**VIT, "method_options": (("fraction", 0.5),)},
    "galore": {**VIT, "method_options": (("rank", 4),)},
    "gradient_filter": {"model": CONV},
}


@pytest.mark.parametrize(("zero_grad", "copies"), [("none", 0), ("zero", 1)])
def test_gradients_that_stay_between_two_steps_are_in_the_peak(make_job, zero_grad, copies):
    with fake_workload(make_job("shapes", **VIT, train=Train(zero_grad=zero_grad))) as workload:
        workload.step_without_loss()
        weights = storage_bytes(workload.model.parameters())
        resident = storage_bytes(workload.resident())
        assert peak_of_step(workload, lambda: None) == resident + copies * weights


@pytest.mark.parametrize("method", KINDS)
def test_both_passes_give_the_same_peak(make_job, method):
    what = {**KINDS[method], "method": method}
    one, other = (
        of.measure(make_job(name, **what)).metrics["peak_bytes"]
        for name, of in (("shapes", shapes), ("live_peak", live_peak))
    )
    assert one == other > 0
