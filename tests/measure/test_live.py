"""Live bytes by the allocator's record: sums on paper, agreement with the hooks, and gaps."""

import gc

import torch
from torch import nn

from ondevice_bench.measure.activations import SavedStorage, SaveSite, saved_storages, total
from ondevice_bench.measure.allocations import record_allocations, span
from ondevice_bench.measure.live import Live, disagreement, live_step
from tests.measure.test_activations import SumStep


def test_levels_and_spans():
    with record_allocations() as record:
        kept = torch.empty(1000)
        with span("one"):
            second = torch.empty(500)
            third = torch.empty(2000)
            del third
        with span("two"):
            del kept
    one, two = record.spans
    assert (one.start_bytes, one.end_bytes, one.peak_bytes) == (4000, 6000, 14000)
    assert (two.start_bytes, two.end_bytes, two.peak_bytes) == (6000, 2000, 6000)
    assert one.alive_by_module == {"": second.nbytes}
    assert one.net_bytes == 2000
    assert record.peak_of("one") == 14000
    assert record.peak_of("never") == 0


def test_garbage_from_before_is_not_released_in_the_record():
    gc.collect()
    with record_allocations():  # torch knows the size of what it has seen in a record
        cycle = [torch.zeros(1000)]
    cycle.append(cycle)
    del cycle
    with record_allocations() as record:
        kept = [torch.ones(16), *([] for _ in range(10_000))]  # else enough to begin a collection
    assert record.net_bytes == kept[0].nbytes
    assert gc.isenabled()


def test_a_small_network_on_paper():
    model = nn.Sequential(nn.Linear(10, 20), nn.GELU(), nn.Linear(20, 5))
    step = SumStep(model, torch.randn(4, 10))
    live = live_step(step, model)
    saved = saved_storages(step, model)
    assert live.activation_bytes == total(saved) == 2 * 4 * 20 * 4
    assert live.activations_by_module == {
        "0": 4 * 20 * 4,
        "1": 4 * 20 * 4,
        "": 4,
    }  # the loss outside
    # with the output of the last layer and its sum
    assert live.forward_peak_bytes == 2 * 4 * 20 * 4 + 4 * 5 * 4 + 4
    assert disagreement(saved, live) == ""


class Hoarder(nn.Module):
    """Keeps a tensor that autograd knows nothing of until its next forward."""

    def __init__(self):
        super().__init__()
        self.inner = nn.Linear(10, 10)

    def forward(self, x):
        self.hoard = None
        self.hoard = torch.zeros(1000)
        return self.inner(x)


def test_what_a_module_keeps_behind_autograds_back_is_a_difference_with_its_name():
    model = nn.Sequential(nn.Linear(10, 10), Hoarder(), nn.Linear(10, 5))
    step = SumStep(model, torch.randn(4, 10))
    saved = saved_storages(step, model)
    live = live_step(step, model)
    # the first step's hoard is released in the second: in all, the same is kept
    assert live.activation_bytes == total(saved)
    model[1].hoard = None
    grown = Live(total(saved) + 4000, {**live.activations_by_module}, 0, 0, 0)
    said = disagreement(saved, grown)
    assert said.startswith(f"activation bytes: {total(saved)} by saved tensors, ")
    assert "1 +4000" in said


def test_one_percent_is_tolerated():
    saved = (SavedStorage(SaveSite("a"), 1000),)
    assert disagreement(saved, Live(1010, {"a": 1010}, 0, 0, 0)) == ""
    assert "a +20" in disagreement(saved, Live(1020, {"a": 1020}, 0, 0, 0))
    assert "a -20" in disagreement(saved, Live(980, {"a": 980}, 0, 0, 0))


def test_a_step_begins_at_zero_although_weights_are_replaced():
    class Replacing(SumStep):
        def update(self):
            self.model.weight.data = self.model.weight.data.clone()
            super().update()

    model = nn.Linear(100, 100)
    live = live_step(Replacing(model, torch.randn(4, 100)), model)
    # gradients of weight and bias, and the copy for a moment
    assert live.update_peak_bytes == (100 * 100 + 100) * 4 + 100 * 100 * 4
