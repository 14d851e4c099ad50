"""The fidelity pass: similarity on paper, exact methods, and the error of truncated weights."""

import math

import pytest
import torch
from torch import Tensor

from ondevice_bench import metrics
from ondevice_bench.measure.fidelity import similarity
from ondevice_bench.suite.cell import Train
from ondevice_bench.worker.passes import fidelity

VIT = {"model_options": (("depth", 1), ("classes", 4), ("image_size", 32)), "batch": 4}
RANKED = ("svd", "hosvd", "asi", "wasi")


def test_similarity_on_paper():
    reference = {"a": Tensor([3.0, 0.0]), "b": Tensor([[0.0, 4.0]])}
    whole, layers = similarity({"a": Tensor([3.0, 0.0]), "b": Tensor([[4.0, 0.0]])}, reference)
    assert whole.cosine == pytest.approx(9 / 25)
    assert whole.error == pytest.approx(math.sqrt(32) / 5)
    assert layers["a"] == similarity({"a": Tensor([3.0, 0.0])}, {"a": reference["a"]})[0]
    assert (layers["a"].cosine, layers["a"].error) == (1.0, 0.0)
    assert layers["b"].cosine == 0.0


def test_what_has_no_angle_has_none():
    zero, one, wild = torch.zeros(2), torch.ones(2), Tensor([math.nan, 1.0])
    assert similarity({"a": zero}, {"a": one})[0].cosine is None
    assert similarity({"a": zero}, {"a": one})[0].error == 1.0
    assert similarity({"a": one}, {"a": zero})[0].error is None
    assert similarity({"a": wild}, {"a": one})[0].error is None


@pytest.fixture
def compared(make_job):
    def compare(method, model="vit_b_32", *, options=(), **what):
        what = {**VIT, **what} if model == "vit_b_32" else what
        job = make_job("fidelity", model, method=method, method_options=options, **what)
        found = fidelity.measure(job)
        assert set(found.metrics) <= set(metrics.BY_NAME)
        return found

    return compare


@pytest.mark.parametrize("method", ["vanilla", "checkpoint", "microbatch"])
def test_exact_methods_are_exact(compared, method):
    found = compared(method, train=Train(freeze_bn=True)).metrics
    for moment in ("_first", "", "_original"):
        assert found[f"gradient_cosine{moment}"] == pytest.approx(1, abs=1e-6)
        assert found[f"gradient_error{moment}"] < 1e-5


@pytest.mark.parametrize("method", RANKED)
def test_full_rank_is_exact_and_low_rank_is_not(compared, method):
    what = {"dtype": "float64", "layers": "last:3"}
    full = compared(method, "mcunet", options=(("fraction", 1.0),), **what).metrics
    low = compared(method, "mcunet", options=(("fraction", 0.25),), **what).metrics
    for moment in ("_first", ""):
        assert full[f"gradient_error{moment}"] < 1e-6
        assert 1e-3 < low[f"gradient_error{moment}"] < 2
        assert low[f"gradient_cosine{moment}"] < 1 - 1e-5


def test_wsi_is_exact_at_its_own_weights_and_not_at_those_before_cutting(compared):
    found = compared("wsi", options=(("fraction", 0.25),), dtype="float64").metrics
    assert found["gradient_error_first"] < 1e-10
    assert found["gradient_error"] < 1e-10
    assert found["gradient_error_original"] > 0.01


def test_methods_that_keep_the_weight_have_one_figure_for_both(compared):
    found = compared("asi", options=(("fraction", 0.25),)).metrics
    assert found["gradient_error_original"] == pytest.approx(found["gradient_error_first"])


def test_a_warm_basis_is_better_than_noise(compared):
    found = compared("asi", options=(("fraction", 0.25),), train=Train(lr=1e-6)).metrics
    assert found["gradient_error"] < found["gradient_error_first"]


def test_every_layer_has_its_own_figure(compared):
    found = compared("gradient_filter", "mcunet").details["layers"]
    assert set(found) == {"_first", "_after", "_original"}
    assert len(found["_first"]) > 30
    known = [each for each in found["_first"].values() if each["cosine"] is not None]
    assert len(known) > 30
    assert all(abs(each["cosine"]) <= 1 + 1e-9 and each["error"] > 0 for each in known)


def test_a_method_that_trains_other_parameters_says_so(compared):
    found = compared("lora")
    assert "loss_after_steps" in found.metrics
    assert "lora trains other parameters" in found.unavailable["gradient_cosine"]


def test_training_that_goes_wrong_is_said(compared):
    found = compared("vanilla", "mcunet", train=Train(lr=1e30, clip=None, freeze_bn=False))
    assert found.unavailable["loss_after_steps"] == "the loss was not finite"
    assert found.unavailable["gradient_cosine"] == "a gradient was zero, or not finite"


def test_the_loss_falls(compared):
    losses = compared("vanilla", "mcunet").details["losses"]
    assert len(losses) == fidelity.STEPS + 1
    assert losses[-1] < losses[0]
