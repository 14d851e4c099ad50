"""Fixed bases of a calibration batch: against projections by an SVD of torch."""

import copy
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn.utils import spectral_norm

from ondevice_bench.errors import Refusal
from ondevice_bench.methods.ranks import NotCalibrated
from ondevice_bench.methods.treatment import treat
from tests.methods.conftest import conv_cases, difference, gradients, linear_cases, randn


def calibrated(layer, x, **options):
    treatment = treat(nn.Sequential(copy.deepcopy(layer)), "lance", **options)
    treatment.calibrate(x)
    return treatment


def projected(x, calibration, rank):
    """`x` on the leading singular vectors of every unfolding of the calibration batch but one."""
    for mode in range(1, x.ndim):
        unfolding = calibration.movedim(mode, 0).flatten(1)
        vectors = torch.linalg.svd(unfolding, full_matrices=False)[0][:, :rank]
        x = torch.tensordot(vectors @ vectors.T, x, ([1], [mode])).movedim(0, mode)
    return x


@given(st.one_of(linear_cases(), conv_cases()), st.integers(1, 4), st.integers(1, 4))
@settings(max_examples=60, deadline=None)
def test_the_weight_gradient_is_that_of_the_projected_input(case, rank, batch):
    layer, calibration = case
    x = randn(batch, *calibration.shape[1:], seed=7)
    treatment = calibrated(layer, calibration, rank=rank)
    found, exact = gradients(treatment.module[0], x), gradients(layer, x)
    by_definition = gradients(layer, projected(x, calibration, rank)).dw
    assert (found.dw - by_definition).abs().max() <= 1e-10 * max(1, exact.dw.abs().max())
    assert torch.equal(found.y, exact.y)
    for ours, plain in ((found.dx, exact.dx), (found.db, exact.db)):
        assert plain is None or difference(ours, plain) <= 1e-12
    (report,) = treatment.report()
    _, core = found.saved
    assert report.elements == core.numel() == batch * math.prod(report.ranks.activation)


@pytest.mark.parametrize(
    ("layer", "shape"), [(nn.Linear(5, 4), (6, 3, 5)), (nn.Conv2d(3, 4, 3, 2, 1), (5, 3, 6, 7))]
)
def test_at_full_rank_it_is_plain_training(layer, shape):
    layer, x = layer.double(), randn(*shape)
    found = gradients(calibrated(layer, randn(*shape, seed=3), fraction=1.0).module[0], x)
    assert difference(found.dw, gradients(layer, x).dw) <= 1e-10


def test_the_bases_are_state_and_stay_as_they_are():
    layer = nn.Linear(8, 4).double()
    treatment = calibrated(layer, randn(6, 5, 8), rank=2)
    bases = [basis.clone() for basis in treatment.state()]
    assert [tuple(basis.shape) for basis in bases] == [(5, 2), (8, 2)]
    optimizer = treatment.optimizer(lr=0.1)
    for batch in (6, 2, 6):
        treatment.module(randn(batch, 5, 8, seed=batch)).square().sum().backward()
        optimizer.step()
        (report,) = treatment.report()
        assert report.elements == batch * 2 * 2
    assert all(map(torch.equal, treatment.state(), bases))
    treatment.calibrate(randn(6, 5, 8, seed=9))
    assert not any(map(torch.equal, treatment.state(), bases))


def test_a_batch_of_one_example_keeps_every_vector_of_the_bases():
    # an unfolding of one example has one column, which says nothing about the fixed basis
    treatment = calibrated(nn.Linear(8, 4).double(), randn(6, 8), rank=3)
    treatment.module(randn(1, 8)).sum().backward()
    (report,) = treatment.report()
    assert (report.ranks.activation, report.elements) == ((3,), 3)


@pytest.mark.parametrize("options", [{"rank": 2}, {"fraction": 0.5}, {"epsilon": 0.9}])
def test_training_without_a_calibration_is_refused_and_evaluation_is_not(options):
    layer = nn.Linear(8, 4)
    treatment = treat(nn.Sequential(layer), "lance", **options)
    x = torch.randn(6, 8)
    with pytest.raises(NotCalibrated, match=r"^0: .*before you train, call Treatment\.calibrate"):
        treatment.module(x)
    assert torch.equal(treatment.module.eval()(x), layer(x))
    treatment.calibrate(x)
    treatment.module.train()(x).sum().backward()


def test_examples_of_another_shape_are_refused():
    treatment = calibrated(nn.Linear(8, 4), torch.randn(6, 5, 8), rank=2)
    with pytest.raises(Refusal, match=r"^0: .*\(6, 4, 8\), but .*examples of the shape \(5, 8\)"):
        treatment.module(torch.randn(6, 4, 8))


def test_the_calibration_leaves_all_buffers_alone():
    network = nn.Sequential(nn.Linear(8, 4), nn.BatchNorm1d(4), spectral_norm(nn.Linear(4, 3)))
    before = {name: each.clone() for name, each in network.named_buffers()}
    treat(network, "lance", rank=3).calibrate(torch.randn(6, 8))
    assert {"1.running_mean", "1.num_batches_tracked", "2.weight_u"} <= before.keys()
    found = dict(network.named_buffers())
    assert all(torch.equal(found[name], before[name]) for name in before)


def test_the_bases_are_contiguous_because_some_files_hold_no_other_tensors():
    treatment = calibrated(nn.Linear(8, 4), torch.randn(6, 5, 8), rank=3)
    assert all(each.is_contiguous() for each in treatment.module.state_dict().values())


def test_a_loaded_network_needs_no_calibration():
    first = calibrated(nn.Linear(8, 4).double(), randn(6, 5, 8), epsilon=0.8)
    second = treat(nn.Sequential(nn.Linear(8, 4).double()), "lance", epsilon=0.8)
    second.module.load_state_dict(first.module.state_dict())
    x = randn(6, 5, 8, seed=2)
    ours, theirs = (gradients(each.module[0], x) for each in (first, second))
    assert torch.equal(ours.dw, theirs.dw)
    assert [each.ranks for each in second.report()] == [each.ranks for each in first.report()]


def test_a_budget_chooses_ranks_by_the_error_with_fixed_bases():
    model = nn.Sequential(nn.Linear(8, 8), nn.Tanh(), nn.Linear(8, 4)).double()
    treatment = treat(model, "lance", budget_mib=0.004)
    x, classes = randn(6, 5, 8), torch.zeros(6, dtype=torch.int64)
    treatment.calibrate(
        (x, classes), lambda net, batch: nn.functional.cross_entropy(net(batch[0])[:, 0], batch[1])
    )
    model(x).square().sum().backward()
    assert sum(each.stored_bytes for each in treatment.report()) <= 0.004 * 2**20
    assert model[0].weight.grad.abs().sum() > 0


def test_a_layer_that_the_calibration_did_not_reach_is_refused():
    class Half(nn.Module):
        def __init__(self):
            super().__init__()
            self.used, self.unused = nn.Linear(4, 4), nn.Linear(4, 4)
            self.all = False

        def forward(self, x):
            return self.unused(self.used(x)) if self.all else self.used(x)

    treatment = treat(Half(), "lance", rank=1)
    x = torch.randn(3, 4)
    treatment.calibrate(x)
    treatment.module(x).sum().backward()
    treatment.module.all = True
    with pytest.raises(NotCalibrated, match=r"^unused: .*a batch that reaches this layer"):
        treatment.module(x)


@pytest.mark.parametrize("change", ["calibrate", "load"])
def test_other_bases_than_in_the_forward_pass_are_refused(change):
    """The core of the old bases means nothing in the new ones."""
    layer = nn.Linear(5, 4).double()
    treatment = calibrated(layer, randn(6, 5, seed=3), rank=2)
    network = treatment.module
    loss = network(randn(6, 5)).sum()
    if change == "calibrate":
        treatment.calibrate(randn(6, 5, seed=4))
    else:
        network.load_state_dict(network.state_dict(), assign=True)
    with pytest.raises(Refusal, match="0: the bases are no longer those of the forward pass"):
        loss.backward()
    network(randn(6, 5)).sum().backward()
