"""Copies of a network, averages, and files: each trains on, or is refused when it computes."""

import copy
import io
import pickle

import pytest
import torch
from torch import nn

from ondevice_bench.errors import Refusal
from ondevice_bench.methods.optimizer_guard import WrongOptimizer
from ondevice_bench.methods.pending_gradient import PendingGradient
from tests.methods.loops import (
    FACTORED,
    FULL,
    RATE,
    batches,
    network,
    same,
    train,
    treated,
    unchanged,
    weights,
)


@pytest.mark.parametrize(
    ("method", "options"),
    [
        ("vanilla", {"momentum": 0.9}),
        ("vanilla", {"kind": "adamw"}),
        ("galore", {"kind": "adamw"}),
        ("wsi", {}),
        ("update_in_backward", {"clip": None}),
    ],
)
def test_a_copy_of_network_and_optimizer_trains_as_the_original(method, options):
    own = {"wsi": FULL, "galore": {"rank": 2, "every": 2}}.get(method, {})
    treatment = treated(method, **own)
    optimizer = treatment.optimizer(lr=RATE, **{"clip": 0.1, **options})
    train(treatment.module, optimizer, 1)
    twin, other = copy.deepcopy((treatment.module, optimizer))
    train(treatment.module, optimizer, 2)
    train(twin, other, 2)
    assert same(twin, treatment.module, 1e-14)


@pytest.mark.parametrize("way", ["pickle", "deepcopy"])
@pytest.mark.parametrize(
    ("method", "options"),
    [
        ("wsi", FULL),
        ("asi", FULL),
        ("galore", {"rank": 2}),
        ("lora_fa", {"rank": 2}),
        ("saved_bf16", {}),
        ("lean", {}),
        ("checkpoint", {}),
    ],
)
def test_a_copy_of_a_treatment_trains_and_merges_as_the_original(method, options, way):
    treatment = treated(method, **options)
    train(treatment.module, treatment.optimizer(lr=RATE), 1)
    twin = copy.deepcopy(treatment) if way == "deepcopy" else pickle.loads(pickle.dumps(treatment))
    for each in (treatment, twin):
        train(each.module, each.optimizer(lr=RATE), 2)
    assert same(twin.merge(), treatment.merge(), 1e-14)
    assert [type(each) for each in twin.module.modules()] == [
        type(each) for each in network().modules()
    ]


def as_of_an_earlier_version(module, number):
    """With marks of one number in a row, and without what has been added since."""
    for each in module.modules():
        if isinstance(each, PendingGradient):
            each._mark.__dict__ = {"_number": 3}
            each.norm = nn.Parameter(torch.full((2,), number, dtype=each.norm.dtype))
            for added in ("_share", "was_frozen", "_applied", "_is_added"):
                del each.__dict__[added]
        each.__dict__.pop("trains_down", None)
    return pickle.loads(pickle.dumps(module))


@pytest.mark.parametrize(
    ("method", "options"),
    [
        ("wsi", FULL),
        ("wasi", FULL),
        ("wsi_svd", FULL),
        ("lora", {"rank": 2}),
        ("lora_fa", {"rank": 2}),
    ],
)
def test_a_whole_network_of_an_earlier_version_trains_on(method, options):
    treatment, other = treated(method, **options), treated(method, **options)
    other.module = as_of_an_earlier_version(other.module, 3.0)
    other.module.requires_grad_(True)
    for each in (treatment, other):
        train(each.module, each.optimizer(lr=RATE))
    assert same(other.module, treatment.module, 1e-14)


@FACTORED
def test_an_average_in_a_network_of_an_earlier_version_is_refused(method):
    module = as_of_an_earlier_version(treated(method, **FULL).module, 2.5)
    with pytest.raises(Refusal, match=r"^0\.0: other code has averaged, copied or changed"):
        module(batches()[0][0])


def test_a_copy_of_a_network_with_projected_gradients_is_guarded_too():
    treatment = treated("galore", rank=2)
    twin = copy.deepcopy(treatment.module)
    before = weights(twin)
    with pytest.raises(WrongOptimizer, match="galore: this optimizer does not know"):
        train(twin, torch.optim.SGD(twin.parameters(), lr=RATE))
    assert unchanged(twin, before)


@FACTORED
def test_a_whole_network_in_a_file_goes_on_with_the_optimizer_beside_it(method):
    treatment = treated(method, **FULL)
    optimizer = treatment.optimizer(lr=RATE)
    train(treatment.module, optimizer, 2)
    file = io.BytesIO()
    torch.save((treatment.module, optimizer), file)
    file.seek(0)
    twin, other = torch.load(file, weights_only=False)
    train(treatment.module, optimizer, 2)
    train(twin, other, 2)
    assert same(twin, treatment.module, 1e-14)


def test_weights_that_a_file_has_brought_are_projected():
    module = network()
    file = copy.deepcopy(module.state_dict())
    expected = treated("galore", rank=2)
    train(expected.module, expected.optimizer(lr=RATE))
    treatment = treated("galore", module, rank=2)
    module.load_state_dict(file, assign=True)
    train(module, treatment.optimizer(lr=RATE))
    assert same(module, expected.module, 1e-14)


def by_state(average, module):
    now = module.state_dict()
    for name, tensor in average.state_dict().items():
        tensor.mul_(0.9).add_(now[name], alpha=0.1)


@FACTORED
def test_an_average_in_the_place_of_a_state_dict_is_refused_when_it_computes(method):
    treatment = treated(method, **FULL)
    average = copy.deepcopy(treatment.module).eval()
    optimizer = treatment.optimizer(lr=RATE)
    for _ in range(3):
        train(treatment.module, optimizer, 1)
        by_state(average, treatment.module)
    average.state_dict()  # as a loop that saves it
    with pytest.raises(Refusal, match=r"^0\.0: other code has averaged, copied or changed"):
        average(batches()[0][0])


@FACTORED
def test_an_average_of_files_is_refused_when_it_computes_and_each_file_is_not(method):
    treatment = treated(method, **FULL)
    optimizer, files = treatment.optimizer(lr=RATE), []
    for _ in range(4):
        train(treatment.module, optimizer, 1)
        files.append(copy.deepcopy(treatment.module.state_dict()))
    average = {
        name: sum(file[name] for file in files) / len(files)
        for name in files[0]
        if "basis_" not in name
    }
    another = treated(method, **FULL)
    other = another.module
    x = batches()[0][0]
    for file in files:
        other.load_state_dict(file)
        other(x)
    assert torch.equal(other(x), treatment.module(x))
    other.load_state_dict(average)
    for use in (lambda: other(x), lambda: other[0][0].weight, another.merge):
        with pytest.raises(Refusal, match=r"^0\.0: other code has averaged, copied or changed"):
            use()
    assert type(other[0][0]) is not nn.Linear  # merge has changed nothing


@FACTORED
def test_a_state_dict_that_nobody_has_copied_loads_the_weights_of_today(method):
    treatment = treated(method, **FULL)
    optimizer = treatment.optimizer(lr=RATE)
    best = treatment.module.state_dict()
    train(treatment.module, optimizer, 2)
    before = weights(treatment.module)
    treatment.module.load_state_dict(best)
    treatment.module(batches()[0][0])
    assert unchanged(treatment.module, before)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_factors_that_change_their_type_or_come_from_an_earlier_version_compute(dtype):
    treatment = treated("wsi", **FULL)
    train(treatment.module, treatment.optimizer(lr=RATE))
    file = {name: each.to(dtype) for name, each in treatment.module.state_dict().items()}
    other = treated("wsi", **FULL).module
    other.load_state_dict(file)
    other(batches()[0][0])
    other.load_state_dict({name: each for name, each in file.items() if "norm" not in name})
    other.to(dtype)(batches()[0][0].to(dtype))
    norms = (each.norm for each in other.modules() if isinstance(each, PendingGradient))
    assert {each.dtype for each in norms} == {torch.float32}  # clipping needs its digits
    other.double()(batches()[0][0])


@pytest.mark.parametrize("method", ["asi", "wasi"])
def test_code_that_pairs_the_entries_of_two_networks_in_order_pairs_the_right_ones(method):
    treatment = treated(method, **FULL)
    early = copy.deepcopy(treatment.module)
    train(treatment.module, treatment.optimizer(lr=RATE))
    names = list(treatment.module.state_dict())
    assert len(names) > len(early.state_dict())
    assert all(a == b for a, b in zip(names, early.state_dict(), strict=False))
    treatment.merge()
    assert not treatment.module._state_dict_hooks


@FACTORED
def test_a_file_of_an_earlier_version_has_its_mark_in_a_row(method):
    treatment = treated(method, **FULL)
    train(treatment.module, treatment.optimizer(lr=RATE))
    file = treatment.module.state_dict()
    early = {name: each[1] if "norm" in name else each for name, each in file.items()}
    other = treated(method, **FULL)
    other.module.load_state_dict(early)
    for each in (treatment, other):
        train(each.module, each.optimizer(lr=RATE))
    assert same(other.module, treatment.module)
