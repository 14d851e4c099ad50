"""The passes on real networks: parts that add up, bytes that agree, seeds that hold."""

from dataclasses import replace
from pathlib import Path
from statistics import median

import pytest

from ondevice_bench import metrics
from ondevice_bench.measure import curve, flops, operators
from ondevice_bench.running.hosts.launch import PassLauncher
from ondevice_bench.suite.cell import Train
from ondevice_bench.worker.passes import shapes, trace
from tests.workers import CONV

SMALL_VIT = {"model_options": (("depth", 1), ("image_size", 64), ("classes", 10))}
# a step of some length; three tests share what the passes find
DEEP = {"model_options": (("depth", 2),), "train": Train(momentum=0.9)}
MIB = 2**20
TOP_K = Path(__file__).parent.parent / "methods/samples/top_k.py"


@pytest.fixture
def run_anew(zygote, spawner, make_job):
    """Run a pass in a process of its own."""

    def perform(pass_name, model="mcunet", **what):
        job = make_job(pass_name, model, **what)
        outcome = PassLauncher(spawner, lambda: zygote).launch(job, 120, lambda: None)
        assert outcome.reply.status == "ok", outcome.reply.traceback
        return outcome.reply.result

    return perform


@pytest.fixture(scope="module")
def results():
    """What the passes of this module have measured so far."""
    return {}


@pytest.fixture
def run(run_anew, results):
    """Run a pass in a process of its own, or read what it measured for an earlier test."""

    def perform(pass_name, model="mcunet", **what):
        key = (pass_name, model, repr(sorted(what.items())))
        if key not in results:
            results[key] = run_anew(pass_name, model, **what)
        return results[key]

    return perform


@pytest.mark.parametrize(
    ("model", "what"),
    [
        ("mcunet", {"train": Train(freeze_bn=False), "dtype": "float64"}),
        ("vit_b_32", {**SMALL_VIT, "dtype": "bfloat16"}),
    ],
    ids=["mcunet-bn-f64", "vit-bf16"],
)
def test_fake_tensors_save_the_bytes_that_real_ones_save(make_job, model, what):
    planned, traced = (
        of.measure(make_job(name, model, **what))
        for name, of in (("shapes", shapes), ("trace", trace))
    )
    for name in ("activation_bytes", "parameter_bytes"):
        assert planned.metrics[name] == traced.metrics[name]
    assert traced.metrics["activation_bytes"] > 0


def test_the_bytes_of_a_network_are_the_sums_on_paper(run):
    found = run("trace", "mcunet", train=Train(momentum=0.9, freeze_bn=False)).metrics
    assert found["parameter_bytes"] == 636_232 * 4
    assert found["gradient_bytes"] == 636_232 * 4
    assert found["optimizer_state_bytes"] == 636_232 * 4  # one momentum for each parameter
    assert found["batch_bytes"] == 2 * 3 * 96 * 96 * 4 + 2 * 8
    widths = [16, *(w for w in _MCUNET_NORMS)]
    # running mean and variance in float32, and a count of batches in int64
    assert found["buffer_bytes"] == sum(2 * 4 * width + 8 for width in widths)


# the width of each batch-norm: expansion (none in the first block), depthwise, projection
_MCUNET_NORMS = [
    16, 8, 32, 32, 16, 48, 48, 16, 48, 48, 24, 120, 120, 24, 120, 120, 40, 160, 160, 40,
    160, 160, 48, 144, 144, 48, 192, 192, 48, 240, 240, 96, 384, 384, 96, 384, 384, 96,
    576, 576, 160,
]  # fmt: skip


@pytest.mark.parametrize(
    ("declared", "share", "notes"),
    [
        ("[count, (count, torch.int64)]", 0.75, 0),
        ("2 * count", 0.5, 1),
    ],
)
def test_bytes_that_a_method_does_not_declare_are_noted(tmp_path, make_job, declared, share, notes):
    text = TOP_K.read_text().replace("[count, (count, torch.int64)]", declared)
    (tmp_path / "top_k.py").write_text(text)
    job = make_job("trace", "vit_b_32", **SMALL_VIT)
    found = trace.measure(replace(job, methods=((f"{tmp_path}/top_k.py:TopK", {}),))).details
    layers = found["treated"].values()
    stored, whole = (sum(each[n] for each in layers) for n in ("stored_bytes", "input_bytes"))
    assert stored / whole == share
    told = [note for note in found["notes"] if note.startswith("the method declares")]
    assert len(told) == notes
    for note in told:
        assert f"declares {stored:,} B for 7 of 7 changed layers" in note
        assert f"these layers keep {3 * stored // 2:,} B: " in note


def test_operators_without_a_formula_are_noted_for_each_figure(make_job, monkeypatch):
    def kind_of(func):
        products = {"addmm", "convolution", "convolution_backward"}
        is_product = func.overloadpacket.__name__ in products
        return "unknown" if is_product else operators.kind_of(func)

    monkeypatch.setattr(flops, "kind_of", kind_of)
    found = trace.measure(make_job("trace", CONV))
    without = "leave out operators without a formula:"
    assert found.details["notes"] == [
        f"the FLOPs of a step {without} convolution, convolution_backward",
        f"the FLOPs of inference {without} convolution",
    ]


def test_frozen_batch_norms_have_no_gradients(run):
    found = run("trace", "mcunet").metrics
    affine = 2 * (16 + sum(_MCUNET_NORMS))
    assert found["gradient_bytes"] == (636_232 - affine) * 4
    assert found["optimizer_state_bytes"] == 0


def test_the_parts_of_the_peak_add_up_to_it(run):
    found = run("memory", "vit_b_32", **SMALL_VIT).metrics
    parts = sum(found[name] for name in metrics.parts_of("peak"))
    assert parts == found["peak_rss_over_runtime_bytes"]
    assert found["peak_rss_bytes"] - found["runtime_floor_bytes"] == parts
    assert 0 < found["runtime_allocated_bytes"] < found["runtime_floor_bytes"]
    assert found["peak_rss_bytes"] == max(
        found[f"{phase}_peak_rss_bytes"] for phase in ("forward", "backward", "update")
    )


@pytest.mark.parametrize(("train", "moments"), [(DEEP["train"], 1), (Train(optimizer="adamw"), 2)])
def test_the_optimizers_state_is_a_part_of_its_own(run, train, moments):
    with_state = {**DEEP, "train": train}
    traced = run("trace", "vit_b_32", **with_state).metrics
    found = run("memory", "vit_b_32", **with_state).metrics
    state = traced["optimizer_state_bytes"]
    assert state > moments * 60 * MIB
    assert found["rss_optimizer_bytes"] == pytest.approx(state, rel=0.02)
    assert abs(found["rss_warmup_bytes"]) < 16 * MIB
    assert (
        sum(found[name] for name in metrics.parts_of("peak"))
        == found["peak_rss_over_runtime_bytes"]
    )
    assert run("memory", "vit_b_32", **SMALL_VIT).metrics["rss_optimizer_bytes"] == 0


def test_the_state_of_adamw_is_in_the_estimates(run):
    """Two moments for each parameter, and its count of steps."""
    plain, state = (
        run("shapes", "vit_b_32", **SMALL_VIT, train=Train(optimizer=kind)).metrics
        for kind in ("sgd", "adamw")
    )
    traced = run("trace", "vit_b_32", **SMALL_VIT, train=Train(optimizer="adamw")).metrics
    moments = traced["optimizer_state_bytes"]
    assert moments == pytest.approx(2 * traced["parameter_bytes"], rel=0.01)
    assert state["resident_bytes"] - plain["resident_bytes"] == moments
    assert state["peak_bytes"] - plain["peak_bytes"] >= moments
    assert (
        run("live_peak", "vit_b_32", **SMALL_VIT, train=Train(optimizer="adamw")).metrics[
            "peak_bytes"
        ]
        == state["peak_bytes"]
    )


def test_the_curve_of_a_step_is_seen_from_outside(run):
    found = run("memory", "vit_b_32", **DEEP)
    drawn = found.details["curve"]
    names = [name for name, _ in drawn["marks"]]
    assert names == [
        *("runtime", "batch", "model", "warm-up", "forward", "backward", "update", "inference"),
        "end",
    ]
    moments = drawn["seconds"]
    assert 10 < len(moments) == len(drawn["rss_bytes"]) <= curve.POINTS
    assert moments == sorted(moments)
    began = dict(drawn["marks"])
    step = [
        size
        for moment, size in zip(moments, drawn["rss_bytes"], strict=True)
        if began["forward"] <= moment < began["inference"]
    ]
    # a sampler sees no more than the mark, and most of it in a step of this length
    peak, ready = found.metrics["peak_rss_bytes"], found.metrics["ready_floor_bytes"]
    assert ready < max(step) <= peak * 1.01


def test_a_pass_that_swapped_has_no_figures(monkeypatch, make_job):
    from ondevice_bench.measure import memory
    from ondevice_bench.worker.passes.memory import measure

    monkeypatch.setattr(memory, "swap_bytes", lambda: 4096)
    found = measure(make_job("memory"))
    assert found.metrics == {}
    assert found.unavailable["peak_rss_bytes"].startswith("4096 bytes of the process were in swap")


def test_memory_sees_weights_gradients_and_activations_of_known_size(run):
    traced = run("trace", "vit_b_32", **DEEP).metrics
    found = run("memory", "vit_b_32", **DEEP).metrics
    assert found["rss_weights_bytes"] == pytest.approx(traced["parameter_bytes"], abs=4 * MIB)
    # the first linear's gradient appears when most activations are still there
    least = max(traced["gradient_bytes"], traced["activation_bytes"])
    most = traced["gradient_bytes"] + traced["activation_bytes"]
    assert least < found["rss_step_bytes"] < 1.5 * most


def test_equal_seeds_train_on_equal_bytes_in_every_process(run_anew):
    one, two, other = (run_anew("trace", "mcunet", seed=seed).details for seed in (3, 3, 4))
    for name in ("weights_sha256", "batch_sha256"):
        assert one[name] == two[name] != other[name]
    one, two = (run_anew("time", seed=3).details for _ in range(2))
    assert one["losses"] == two["losses"]


def test_training_lowers_the_loss(run):
    first, last = run("time", "mcunet").details["losses"]
    assert last < first


def test_a_loss_that_is_not_finite_is_noted(run):
    found = run("time", "mcunet", train=Train(lr=1e30, clip=None, freeze_bn=False))
    assert "the loss was not finite" in found.details["notes"]
    assert found.details["losses"] is None


def test_every_metric_of_every_pass_is_described(run):
    for name in ("memory", "trace", "time"):
        found = run(name)
        assert set(found.metrics) <= set(metrics.BY_NAME)
        exact = {metrics.BY_NAME[metric].kind for metric in found.metrics}
        assert exact == ({"exact"} if name == "trace" else {"noisy"})


def test_samples_and_warm_ups_are_kept_apart_and_raw(run):
    found = run("time")
    assert len(found.samples["step_seconds"]) == 6
    assert len(found.details["warmup"]["step_seconds"]) >= 2  # one was asked for, one tells
    for forward, backward, update, step in zip(
        *(found.samples[f"{name}_seconds"] for name in ("forward", "backward", "update", "step")),
        strict=True,
    ):
        assert forward + backward + update == pytest.approx(step, rel=1e-6)
    assert {"own_cpu_seconds", "foreign_cpu_seconds"} <= set(found.samples)
    assert found.metrics["step_minor_faults"] == median(found.samples["step_minor_faults"])


def test_memory_that_cannot_be_measured_is_unavailable_with_the_reason(monkeypatch, make_job):
    from ondevice_bench.measure import memory
    from ondevice_bench.worker.passes.memory import measure

    def refuse():
        raise memory.PeakUnavailable("the mark cannot be reset here")

    monkeypatch.setattr(memory, "reset_peak", refuse)
    found = measure(make_job("memory"))
    assert found.metrics == {}
    assert found.unavailable["peak_rss_over_runtime_bytes"] == "the mark cannot be reset here"


RANKED = {"method_options": (("fraction", 0.25),)}


@pytest.mark.parametrize(
    ("method", "what"),
    [
        ("vanilla", {}),
        ("hosvd", RANKED),
        ("asi", RANKED),
        ("wasi", RANKED),
        ("wsi", RANKED),
        ("checkpoint", {}),
        ("lora", {}),
        ("bias_only", {}),
        ("lora_fa", {}),
        ("lance", RANKED),
        ("wsi_svd", RANKED),
    ],
)
def test_shapes_alone_tell_what_a_real_step_holds(make_job, method, what):
    """Two sources: storages under fake tensors, and torch's own record of a real step.

    On a network without convolutions: for these a library allocates scratch by torch's allocator.
    """
    bert = {"model_options": (("layers", 1),), "method": method, **what}
    planned, found = (
        of.measure(make_job(name, "minilm", **bert)).metrics
        for name, of in (("shapes", shapes), ("trace", trace))
    )
    assert planned["activation_bytes"] == found["activation_bytes"]
    resident = ("parameter_bytes", "buffer_bytes", "method_state_bytes", "batch_bytes")
    live = ("forward_live_peak_bytes", "backward_live_peak_bytes", "update_live_peak_bytes")
    peak = sum(found[name] for name in resident) + max(found[name] for name in live)
    assert planned["peak_bytes"] == peak


def test_the_state_of_galore_is_in_the_estimates(make_job):
    """The moments are thin, and each weight has a basis; a step with new bases has the peak."""
    galore = {
        "method": "galore",
        "method_options": (("rank", 8),),
        "train": Train(optimizer="adamw"),
        **SMALL_VIT,
    }
    planned = shapes.measure(make_job("shapes", "vit_b_32", **galore)).metrics
    traced = trace.measure(make_job("trace", "vit_b_32", **galore)).metrics
    whole = {**galore, "method": "vanilla", "method_options": ()}
    plain = shapes.measure(make_job("shapes", "vit_b_32", **whole)).metrics
    fixed = traced["parameter_bytes"] + traced["buffer_bytes"] + traced["batch_bytes"]
    assert planned["resident_bytes"] == fixed + traced["optimizer_state_bytes"]
    assert planned["resident_bytes"] < plain["resident_bytes"]
