"""The peak by shapes is the same in the passes shapes and live_peak: one may stand for the other."""

from dataclasses import replace

import pytest

from ondevice_bench.measure.activations import storage_bytes
from ondevice_bench.measure.fake_live import peak_of_step
from ondevice_bench.suite.cell import Train
from ondevice_bench.worker.fake_workload import fake_workload
from ondevice_bench.worker.passes import live_peak, shapes
from tests.workers import CONV

pytestmark = pytest.mark.usefixtures("narrow_networks")

# a network of one layer, as users write it
NET = """
from torch import channels_last, nn

class Net(nn.Sequential):
    def get_extra_state(self):
        return {"version": 1}

    def set_extra_state(self, state):
        pass

def net():
    return Net(nn.Flatten(), nn.Linear(3 * 8 * 8, 5))"""
HOW = {  # how its code ends
    "with another state": "",
    "of a type": ".double()",
    "in another layout": ".to(memory_format=channels_last)",
}

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


@pytest.mark.parametrize("how", HOW)
def test_a_network_of_the_user_has_the_peak_of_its_tensors(odd_job, tmp_path, how):
    (tmp_path / "net.py").write_text(NET + HOW[how])
    job = replace(odd_job("", "live_peak"), model=f"{tmp_path}/net.py:net", model_options={})
    weights, images, labels, scores = 5 * (3 * 8 * 8 + 1), 2 * 3 * 8 * 8, 2, 2 * 5
    with fake_workload(job) as workload:
        resident = storage_bytes(workload.resident())
    assert resident == 4 * (weights + images) + 8 * labels
    beyond = live_peak.measure(job).metrics["peak_bytes"] - resident
    assert 4 * weights <= beyond <= 4 * (2 * weights + scores)


def test_a_batch_may_be_larger_than_the_memory_of_this_machine(make_job):
    count = 1 << 30
    one, many = (
        live_peak.measure(make_job("live_peak", model=CONV, batch=batch)).metrics["peak_bytes"]
        for batch in (1, count)
    )
    assert count * 4 * (2 * 4 * 8 * 8) < many < count * one
