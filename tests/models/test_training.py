"""Every model under every method that applies, through the suite's own step."""

import math
from dataclasses import replace

import pytest
import torch
from torch import nn

from ondevice_bench.data import nested
from ondevice_bench.models.families import family
from ondevice_bench.models.layers import select_layers
from ondevice_bench.specs import registry
from ondevice_bench.suite.cell import Train
from ondevice_bench.worker.workload import Workload, build_model, load_batch
from tests.models.conftest import SMALL

OPTIONS = {
    "svd": {"fraction": 0.25},
    "hosvd": {"epsilon": 0.8},
    "asi": {"fraction": 0.25},
    "wsi": {"fraction": 0.25},
    "wasi": {"fraction": 0.25},
    "lance": {"fraction": 0.25},
    "wsi_svd": {"fraction": 0.25},
    "lbp_wht": {"patch": 2},
    "microbatch": {"slices": 2},
}
PLAIN_NORMS = """\
from torch import nn

def unit():
    return nn.Sequential(nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3, affine=False))

def net():
    return nn.Sequential(unit(), unit(), nn.Flatten(), nn.Linear(48, 2))
"""
POOLS = ("pspnet", "deeplabv3", "upernet")  # to so few places that no patch fits
PAIRS = [
    (model, method)
    for model in SMALL
    for method in registry.methods()
    if registry.method(method).refuses(registry.model(model)) is None
]


@pytest.mark.parametrize(("model", "method"), PAIRS)
def test_two_steps(make_job, model, method):
    replaces = bool(registry.method(method).treats)
    layers = "all"
    if replaces:
        layers = "conv" if method == "gradient_filter" else "last:3"
    if method == "lbp_wht":
        layers = "pattern:backbone.*" if model in POOLS else "all"
    job = make_job(
        "time",
        model,
        method=method,
        method_options=tuple(OPTIONS.get(method, {}).items()),
        layers=layers,
        train=Train(freeze_bn=not replaces, clip=None if method == "update_in_backward" else 2.0),
    )
    treatment = build_model(job)
    batch = load_batch(job)
    if registry.method(method).calibrates:
        treatment.calibrate(batch, family(job.model).loss)
    workload = Workload(job, batch, treatment)
    before = [p.detach().clone() for p in workload.trained]
    losses = [workload.step() for _ in range(2)]
    assert all(math.isfinite(loss) for loss in losses)
    assert any(not torch.equal(a, b) for a, b in zip(before, workload.trained, strict=True))
    with workload.evaluating():
        workload.infer()


@pytest.mark.parametrize("model", SMALL)
def test_every_layer_can_be_replaced(make_job, model):
    """A network must ask nothing of a layer that another layer in its place does not have."""
    job = make_job("time", model, method="wasi", method_options=(("rank", 1),))
    workload = Workload(job, load_batch(job), build_model(job))
    assert math.isfinite(workload.step())


@pytest.mark.parametrize("model", SMALL)
def test_gradients_reach_every_parameter(make_job, model):
    job = make_job("time", model, train=Train(freeze_bn=False), batch=4)
    workload = Workload(job, load_batch(job), build_model(job))
    workload.backward(workload.forward())
    unreached = {
        name
        for name, p in workload.model.named_parameters()
        if p.grad is None or not p.grad.abs().sum() > 0
    }
    # a bias of every key alike changes no attention: its gradient is zero but for rounding
    assert {name for name in unreached if not name.endswith((".k.bias", ".key.bias"))} == set()


def test_frozen_batch_norms_stay_in_evaluation_after_train(make_job):
    job = make_job("time", "resnet18")
    workload = Workload(job, load_batch(job), build_model(job))
    norms = [m for m in workload.model.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    with workload.evaluating():
        assert not any(m.training for m in workload.model.modules())
    assert workload.model.training
    assert not any(norm.training or norm.weight.requires_grad for norm in norms)


@pytest.mark.parametrize("layers", ["all", "last:1"])
def test_a_norm_without_parameters_trains_where_its_part_trains(make_job, workplace, layers):
    (workplace / "net.py").write_text(PLAIN_NORMS)
    job = make_job("time", "resnet18", layers=layers, train=Train(freeze_bn=False))
    job = replace(job, model=f"{workplace}/net.py:net", model_options={}, layout=None)
    batch = torch.randn(2, 3, 4, 4), torch.zeros(2, dtype=torch.int64)
    workload = Workload(job, batch, build_model(job))
    for _ in range(2):
        norms = [m.training for m in workload.model.modules() if isinstance(m, nn.BatchNorm2d)]
        assert norms == [layers == "all", True]
        with workload.evaluating():
            workload.infer()


@pytest.mark.parametrize("layers", ["all", "last:2"])
def test_bias_only_trains_the_shift_of_frozen_batch_norms(make_job, layers):
    job = make_job("time", "resnet18", method="bias_only", layers=layers)
    workload = Workload(job, load_batch(job), build_model(job))
    norms = {
        name: module
        for name, module in workload.model.named_modules()
        if isinstance(module, torch.nn.BatchNorm2d)
    }
    before = {name: norm.bias.clone() for name, norm in norms.items()}
    workload.step()
    assert not any(norm.training or norm.weight.requires_grad for norm in norms.values())
    moved = {name for name, norm in norms.items() if not torch.equal(norm.bias, before[name])}
    # what `last` freezes stays frozen
    assert moved == (set(norms) if layers == "all" else {"layer4.1.bn1", "layer4.1.bn2"})


@pytest.mark.parametrize("layers", ["last:1", "last_blocks:1"])
@pytest.mark.parametrize("model", SMALL)
def test_a_choice_that_freezes_lets_every_classifier_train_untreated(make_job, model, layers):
    classes = 97  # no other layer is so wide
    options = SMALL[model] | ({} if model == "tinyllama" else {"classes": classes})
    job = make_job("time", model, layers=layers, model_options=options)
    treatment = build_model(job)
    wide = 32000 if model == "tinyllama" else classes
    classifiers = {
        name: module
        for name, module in treatment.module.named_modules()
        if wide in (getattr(module, "out_features", 0), getattr(module, "out_channels", 0))
    }
    assert len(classifiers) == (2 if "auxiliary" in options else 1)
    parameters = [p for module in classifiers.values() for p in module.parameters()]
    assert all(p.requires_grad for p in parameters)
    assert any(not p.requires_grad for p in treatment.module.parameters())
    every = select_layers(treatment.module, "last:2 of *", registry.model(model).layout).layers
    assert not classifiers.keys() & {*treatment.chosen, *every}


def test_a_batch_is_cut_into_slices_whatever_it_holds(make_job):
    job = make_job("time", "minilm", method="microbatch", batch=3)
    workload = Workload(job, load_batch(job), build_model(job))
    assert [leaf.shape[0] for leaf in nested.leaves(workload.batch)] == [3, 3]
    whole = make_job("time", "minilm", batch=3)
    exact = Workload(whole, load_batch(whole), build_model(whole))
    loss = exact.forward().item()
    parts = [workload.forward(part).item() for part in range(workload.parts)]
    assert math.isclose(sum(parts), loss, rel_tol=1e-5)
