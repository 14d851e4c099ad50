"""The fidelity pass: similarity on paper, exact methods, and the error of truncated weights."""

import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from ondevice_bench import metrics
from ondevice_bench.measure.fidelity import FactoredStep, similarity
from ondevice_bench.methods.lowrank import LowRankLayer
from ondevice_bench.suite.cell import Train
from ondevice_bench.worker.passes import fidelity

pytestmark = pytest.mark.usefixtures("narrow_networks")  # every transformer here is narrow

VIT = {"model_options": (("depth", 1), ("classes", 4), ("image_size", 32)), "batch": 4}
RANKED = ("svd", "hosvd", "asi", "wasi")
ASI = ("ondevice_bench.methods.asi:Asi", {"fraction": 0.25, "sequential": False})
WASI = (
    "ondevice_bench.methods.wasi:Wasi",
    {"fraction": 0.5, "update": "subspace", "sequential": False, "every": 1},
)
WASI_EVERY = (WASI[0], {**WASI[1], "every": 3})
MICROBATCH = ("ondevice_bench.methods.microbatch:Microbatch", {"slices": 2})
MINE = Path(__file__).parent.parent / "methods/samples/mine.py"
MINES = ("Mine", "MineAround")
GRADIENTS = {
    f"gradient_{kind}{moment}"
    for kind in ("cosine", "error")
    for moment in ("", "_first", "_original")
}
NETWORKS = """
import itertools
import torch
from torch import nn

def dropout():
    return nn.Sequential(
        nn.Flatten(), nn.Linear(3 * 32 * 32, 16), nn.Dropout(0.5), nn.Linear(16, 4)
    )

class Noise(nn.Module):
    seeds = itertools.count()

    def forward(self, x):
        stream = torch.Generator().manual_seed(next(self.seeds))
        return x + torch.randn(x.shape, generator=stream, dtype=x.dtype)

def noise():
    return nn.Sequential(nn.Flatten(), nn.Linear(3 * 32 * 32, 16), Noise(), nn.Linear(16, 4))

def changing():
    return nn.Sequential(
        nn.Flatten(), nn.utils.parametrizations.spectral_norm(nn.Linear(3 * 32 * 32, 16)),
        nn.Linear(16, 4),
    )

def straight():
    return nn.Sequential(nn.Flatten(), nn.Linear(3 * 32 * 32, 16), nn.Tanh(), nn.Linear(16, 4))

class Twice(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = nn.Linear(16, 16)

    def forward(self, x):
        return self.inner(torch.tanh(self.inner(x)))

def twice():
    return nn.Sequential(nn.Flatten(), nn.Linear(3 * 32 * 32, 16), Twice(), nn.Linear(16, 4))
"""


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


@pytest.mark.parametrize("method", ["lora", "bias_only", "lora_fa"])
def test_a_method_that_trains_other_parameters_says_so(compared, method):
    found = compared(method)
    assert "loss_after_steps" in found.metrics
    assert f"{method} trains other parameters" in found.unavailable["gradient_cosine"]


def test_training_that_goes_wrong_is_said(compared):
    found = compared("vanilla", "mcunet", train=Train(lr=1e30, clip=None, freeze_bn=False))
    assert found.unavailable["loss_after_steps"] == "the loss was not finite"
    assert found.unavailable["gradient_cosine"] == "a gradient was zero, or not finite"


def test_the_loss_falls(compared):
    losses = compared("vanilla", "mcunet").details["losses"]
    assert len(losses) == fidelity.STEPS + 1
    assert losses[-1] < losses[0]


@pytest.fixture
def compared_own(make_job, tmp_path):
    """The comparison on a network of `NETWORKS`."""
    (tmp_path / "networks.py").write_text(NETWORKS)

    def compare(network, *methods, **what):
        job = make_job("fidelity", "vit_b_32", **VIT, **what)
        own = {"model": f"{tmp_path}/networks.py:{network}", "model_options": {}, "layout": None}
        return fidelity.measure(replace(job, methods=methods or job.methods, **own))

    return compare


def test_a_layer_that_holds_the_plain_one_is_compared_as_one_that_is_it(compared_own):
    one, other = (compared_own("straight", (f"{MINE}:{name}", {})) for name in MINES)
    assert set(one.metrics) >= GRADIENTS
    assert one.metrics == other.metrics
    assert one.metrics["gradient_cosine"] < 0.99


def test_both_sides_draw_the_same_random_numbers(compared_own):
    assert compared_own("dropout").metrics["gradient_cosine"] == pytest.approx(1, abs=1e-12)


def test_the_random_numbers_differ_from_step_to_step_and_seed_to_seed(compared_own):
    still = Train(lr=1e-12)
    losses = compared_own("dropout", train=still).details["losses"]
    assert len(set(losses)) == len(losses)
    assert not set(losses) & set(compared_own("dropout", train=still, seed=1).details["losses"])


def test_the_global_generator_goes_on_as_if_nothing_had_run(compared_own):
    before = torch.get_rng_state()
    compared_own("dropout")
    assert torch.equal(before, torch.get_rng_state())


def test_what_training_itself_does_not_repeat_is_no_figure_of_a_method(compared_own):
    found = compared_own("noise", ASI)
    assert set(found.unavailable) == GRADIENTS
    assert found.unavailable["gradient_cosine"].startswith(
        "vanilla training against itself reaches a cosine of only 0."
    )
    assert 0 < found.details["plain_against_itself"]["cosine"] < 0.999
    assert found.details["layers"] == {}
    assert "loss_after_steps" in found.metrics


def test_a_network_that_changes_with_each_forward_is_compared_in_the_same_state(compared_own):
    found = compared_own("changing")
    assert found.metrics["gradient_cosine"] == pytest.approx(1, abs=1e-9)
    assert found.details["plain_against_itself"]["cosine"] == pytest.approx(1, abs=1e-9)


def test_slices_of_a_batch_that_draw_other_numbers_are_not_compared(compared_own):
    found = compared_own("dropout", MICROBATCH)
    assert set(found.unavailable) == GRADIENTS
    assert found.unavailable["gradient_cosine"] == (
        "the network draws random numbers, as dropout does: the 2 slices of the batch draw others "
        "than the whole batch"
    )
    exact = compared_own("twice", MICROBATCH, dtype="float64").metrics
    assert exact["gradient_error"] < 1e-10


@pytest.mark.parametrize("clip", [None, 0.01])
@pytest.mark.parametrize(
    ("network", "methods"),
    [("twice", (WASI,)), ("straight", (WASI, MICROBATCH)), ("straight", (WASI_EVERY,))],
)
def test_the_update_of_factors_is_the_one_of_all_their_gradients(
    compared_own, network, methods, clip
):
    found = compared_own(network, *methods, dtype="float64", train=Train(lr=0.1, clip=clip))
    assert "gradient_cosine" in found.metrics


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_gradient_that_is_lost_before_the_update_is_no_figure(compared_own, monkeypatch, dtype):
    gradient = LowRankLayer.weight_gradient

    def forgetful(self, *saved):
        self.pending.clear()
        return gradient(self, *saved)

    monkeypatch.setattr(LowRankLayer, "weight_gradient", forgetful)
    found = compared_own("twice", WASI, dtype=dtype)
    assert set(found.unavailable) == GRADIENTS
    assert found.unavailable["gradient_cosine"].startswith(
        "2.inner: the update that was applied is not the one of the gradient: it differs by 0."
    )


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_step_in_factors_allows_rounding_and_nothing_else(dtype):
    torch.manual_seed(0)
    left = torch.linalg.qr(torch.randn(40, 5, dtype=dtype)).Q
    right, gradient = torch.randn(5, 30, dtype=dtype), torch.randn(40, 30, dtype=dtype)
    step = FactoredStep(left, right, gradient, decay=0.999, rate=0.01)

    def after(gradient):
        weight = 0.999 * left @ right - 0.01 * gradient
        basis = torch.linalg.qr(weight @ (weight.T @ left)).Q
        return basis, basis.T @ weight

    basis, projected = after(gradient)
    assert step.error(basis, projected) == step.error(-basis, -projected) == 0
    assert step.error(left, right) == pytest.approx(1)
    assert step.error(*after(gradient / 2)) == pytest.approx(0.5, abs=0.1)
    assert step.error(basis, right) > 0.9
    kept = replace(step, basis="kept")
    assert kept.error(left, 0.999 * right - 0.01 * left.T @ gradient) == 0
    assert kept.error(basis, projected) > 0.1
    assert replace(step, gradient=gradient * math.nan).error(left, right) == 0
