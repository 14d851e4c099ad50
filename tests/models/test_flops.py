"""FLOPs of every network against a count of its function calls, taken above the dispatcher."""

import math
from dataclasses import replace

import pytest
from torch.overrides import TorchFunctionMode

from ondevice_bench.measure.flops import FlopCounter, count_step, step_flops
from ondevice_bench.models import vit
from ondevice_bench.papers.counting import account_pass
from ondevice_bench.specs import registry
from ondevice_bench.worker.fake_workload import fake_workload
from ondevice_bench.worker.passes import layers, shapes, trace
from ondevice_bench.worker.workload import Workload, build_model, load_batch
from tests.models.conftest import SMALL

METHODS = {
    "vanilla": (),
    "gradient_filter": (),
    "svd": (("rank", 2),),
    "hosvd": (("rank", 2),),
    "asi": (("rank", 2),),
    "wsi": (("rank", 2),),
    "wasi": (("rank", 2),),
    "lora": (),
    "bias_only": (),
    "lora_fa": (),
    "lance": (("rank", 2),),
    "wsi_svd": (("rank", 2),),
    "lbp_wht": (("patch", 2),),
    "checkpoint": (),
    "microbatch": (),
    "saved_bf16": (),
    "saved": (),
    "lean": (),
    "fewbit": (),
}
FACTORISING = {"svd", "hosvd", "asi", "wsi", "wasi", "wsi_svd"}
COMPRESSING = {"svd", "hosvd", "asi", "wasi", "lance", "lbp_wht"}


class Calls(TorchFunctionMode):
    """Multiply-adds of the public functions that multiply, from the shapes of their arguments."""

    def __init__(self):
        super().__init__()
        self.forward = self.backward = 0

    def __torch_function__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        name = func.__name__
        if name == "linear":
            self._add(math.prod(out.shape) * args[0].shape[-1], *args[:2])
        elif name == "conv2d":
            self._add(math.prod(out.shape) * math.prod(args[1].shape[1:]), *args[:2])
        elif name in {"matmul", "__matmul__", "bmm", "mm"}:
            self._add(math.prod(out.shape) * args[0].shape[-1], *args[:2])
        elif name == "scaled_dot_product_attention":
            query, key = args[:2]
            rows = math.prod(query.shape[:-1])
            once = 2 * rows * key.shape[-2] * query.shape[-1]
            self.forward += 2 * once
            # a mask takes the unfused way: two products for each of the two
            fused = (kwargs or {}).get("attn_mask") is None and len(args) < 4
            self.backward += (5 if fused else 4) * once
        else:
            assert name not in {"einsum", "baddbmm", "addmm", "conv_transpose2d"}, name
        return out

    def _add(self, multiplied, *factors):
        self.forward += 2 * multiplied
        self.backward += 2 * multiplied * sum(factor.requires_grad for factor in factors)


@pytest.fixture(scope="module", params=["fused", "explicit"])
def attention(request):
    return request.param


@pytest.fixture(scope="module", params=SMALL)
def options(request, attention):
    """A model with its options, and with this attention."""
    found = dict(SMALL[request.param])
    if attention == "explicit":
        if "attention" not in {option.name for option in registry.model(request.param).options}:
            pytest.skip("has no attention")
        found["attention"] = "explicit"
    return request.param, found


@pytest.fixture(scope="module")
def results():
    """What the trace pass has found, by model and attention."""
    return {}


@pytest.fixture
def job(make_job, options):
    return make_job("trace", options[0], model_options=options[1])


@pytest.fixture
def traced(job, options, attention, results):
    """What the trace pass finds, for all tests of this network."""
    key = (options[0], attention)
    if key not in results:
        results[key] = trace.measure(job).metrics
    return results[key]


def test_forward_and_backward_of_every_network(job, traced):
    workload = Workload(job, load_batch(job), build_model(job))
    with Calls() as calls:
        workload.forward()
    assert traced["forward_flops"] == calls.forward > 0
    assert traced["backward_flops"] == calls.backward
    assert traced["step_flops"] == calls.forward + calls.backward
    with Calls() as calls, workload.evaluating():
        workload.infer()
    assert traced["inference_flops"] == calls.forward


def test_fake_tensors_save_and_compute_what_real_ones_do(job, traced):
    planned, shown = (fake.measure(job).metrics for fake in (shapes, layers))
    for found in (planned, shown):
        assert found["activation_bytes"] == traced["activation_bytes"] > 0
        assert found["parameter_bytes"] == traced["parameter_bytes"]
    for name in ("forward_flops", "backward_flops", "update_flops", "step_elements"):
        assert planned[name] == traced[name] >= 0, name


def test_a_layer_that_is_called_twice_counts_twice_or_not_at_all(make_job, tmp_path):
    (tmp_path / "net.py").write_text(
        "from torch import nn\n\nclass Net(nn.Module):\n    def __init__(self):\n"
        "        super().__init__()\n        self.conv = nn.Conv2d(3, 3, 3)\n"
        "        self.head = nn.Linear(3, 10)\n\n    def forward(self, x):\n"
        "        return self.head(self.conv(self.conv(x)).mean((2, 3)))\n"
    )
    job = make_job("layers", "mcunet")
    job = replace(job, model=f"{tmp_path / 'net.py'}:Net", model_options={}, layout=None)
    rows = layers.measure(job).details["layers"]
    assert [row["input"] for row in rows] == [[2, 3, 64, 64], [2, 3]]
    total = sum(row["forward_flops"] for row in rows)
    assert total == shapes.measure(job).metrics["forward_flops"]
    account = account_pass.measure(job).details
    assert set(account["layers"]) == {"head"}
    reason = "is called 2 times in a forward, and an account is of one call"
    assert account["left_alone"] == {"conv": reason}


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("model", ["mcunet", "vit_b_32"])
def test_every_method_is_counted_whole_and_both_sources_of_bytes_agree(make_job, model, method):
    job = make_job("trace", model, method=method, method_options=METHODS[method])
    if method == "gradient_filter" and model != "mcunet":
        pytest.skip("has one convolution")
    result = trace.measure(job)
    for phase, operators in result.details["operators"].items():
        assert "no_formula" not in operators, phase
    metrics = result.metrics
    parts = [value for name, value in metrics.items() if name.startswith("activation_")]
    whole, allocated, *classes = parts
    assert sum(classes) == whole
    assert abs(allocated - whole) <= 16  # a scalar or two of a loss in parts
    noted = {("mcunet", "fewbit"), ("vit_b_32", "lean")}  # they have no effect
    # the input of the head lies on no grid
    assert len(result.details["notes"]) == (method == "lbp_wht" or (model, method) in noted)
    assert metrics["backward_live_peak_bytes"] >= metrics["gradient_bytes"]
    assert metrics["forward_live_peak_bytes"] >= metrics["activation_bytes"]
    assert (metrics["factorisation_flops"] > 0) == (method in FACTORISING)
    assert (metrics["decomposition_flops"] > 0) == (method in COMPRESSING)


def test_checkpointed_attention_counts_its_second_forward(make_job):
    """The products of attention, on paper, and the two sources of bytes."""
    batch, tokens, width, depth = 4, 5, vit.WIDTH, 2
    size = {"depth": depth, "image_size": 64, "classes": 10}
    plain, ours = (
        trace.measure(
            make_job("trace", "vit_b_32", model_options=size, batch=batch, **method)
        ).metrics
        for method in ({}, {"method": "checkpoint", "method_options": (("scope", "attention"),)})
    )
    projections = 4 * 2 * batch * tokens * width**2
    mixing = 2 * 2 * batch * tokens**2 * width
    assert ours["step_flops"] - plain["step_flops"] == depth * (projections + mixing)
    assert ours["forward_flops"] == plain["forward_flops"]
    assert ours["activation_bytes"] < plain["activation_bytes"]
    assert ours["activation_bytes"] == ours["activation_allocated_bytes"]


PUBLISHED = {  # 10^9 multiply-adds of one image of 224x224 in the models' own publications
    "resnet18": 1.81,
    "resnet34": 3.66,
    "mobilenet_v2": 0.30,
    "efficientnet_lite0": 0.39,
    "vit_b_32": 4.41,
    "swin_t": 4.49,
}


@pytest.mark.full_size
@pytest.mark.parametrize("model", PUBLISHED)
def test_networks_cost_what_is_published(make_job, model):
    job = make_job("shapes", model, model_options={"classes": 1000}, batch=1)
    counter = FlopCounter()
    with fake_workload(job) as workload:
        count_step(workload, counter)
    counted = step_flops(counter)["forward_flops"]
    assert round(counted / 2e9, 2) == pytest.approx(PUBLISHED[model], abs=0.02)


def test_frozen_layers_have_no_backward(make_job):
    whole = trace.measure(make_job("trace", "resnet18")).metrics
    last = trace.measure(make_job("trace", "resnet18", layers="last:2")).metrics
    assert last["forward_flops"] == whole["forward_flops"]
    assert last["backward_flops"] < whole["backward_flops"] / 2
