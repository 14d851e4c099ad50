"""Declared FLOPs against the operators that are really called, over many shapes and ranks."""

import random

import pytest
import torch
from torch import nn

from ondevice_bench.measure.flops import STEP, FlopCounter
from ondevice_bench.methods.layer_flops import LayerFlops, Sizes, plain_flops
from ondevice_bench.methods.treatment import treat

METHODS = [
    ("gradient_filter", {"radius": 3}),
    ("svd", {}),
    ("hosvd", {}),
    ("asi", {}),
    ("asi", {"sequential": True}),
    ("wsi", {}),
    ("wsi", {"update": "factors"}),
    ("wasi", {}),
    ("wasi", {"sequential": True}),
    ("wasi", {"update": "factors"}),
    ("wasi", {"every": 3}),
    ("lora", {}),
    ("lora_fa", {}),
    ("lance", {}),
    ("wsi_svd", {}),
]


def layer_and_input(draw):
    """A layer of either kind with an input, small but of every shape that matters."""
    batch = draw.randint(1, 9)
    inputs, outputs = (draw.choice([2, 4, 8, 12]) for _ in range(2))
    if draw.random() < 0.5:
        middle = [draw.randint(1, 7) for _ in range(draw.randint(0, 2))]
        return nn.Linear(inputs, outputs), torch.randn(batch, *middle, inputs)
    kernel = draw.choice([1, 3])
    layer = nn.Conv2d(
        inputs,
        outputs,
        kernel,
        stride=draw.choice([1, 2]),
        padding=draw.choice([0, 1]) if kernel == 3 else 0,
        dilation=draw.choice([1, 2]) if kernel == 3 else 1,
        groups=draw.choice([1, 1, 2]),
    )
    return layer, torch.randn(batch, inputs, draw.randint(6, 9), draw.randint(6, 9))


def counted_steps(treatment, x, period):
    """The work of so many warm steps and an inference, by the operators that were called."""
    optimizer = treatment.optimizer(lr=0.01, clip=1.0)
    for steps in (1, period):
        counter = FlopCounter()
        for _ in range(steps):
            with counter.phase("forward"):
                loss = treatment.module(x.clone().requires_grad_()).sum()
            with counter.phase("backward"):
                loss.backward()
            with counter.phase("update"):
                optimizer.step()
            optimizer.zero_grad()
    treatment.module.eval()
    with torch.no_grad(), counter.phase("inference"):
        treatment.module(x)
    return counter


@pytest.mark.parametrize(("method", "options"), METHODS)
@pytest.mark.parametrize("seed", range(12))
def test_what_is_declared_is_what_is_called(method, options, seed):
    draw = random.Random(f"{method} {options} {seed}")
    torch.manual_seed(seed)
    layer, x = layer_and_input(draw)
    if method != "gradient_filter":
        options = {**options, "rank": draw.choice([1, 2, 3, 5])}
    try:
        treatment = treat(nn.Sequential(layer), method, **options)
    except ValueError as error:
        pytest.skip(str(error))
    treatment.keep_calibration(x)
    period = options.get("every", 1)
    counter = counted_steps(treatment, x, period)
    (report,) = treatment.report()
    work, step = report.flops, counter.of(*STEP)
    assert counter.of("forward").flops == period * (work.forward + work.decomposition)
    assert counter.of("backward").flops == period * (work.input_gradient + work.weight_gradient)
    assert counter.of("update").flops // period == work.update  # the mean, rounded down
    assert counter.of("inference").flops == work.inference
    assert step.flops // period == work.training
    assert step.decomposing == period * work.decomposition
    assert step.factorisation_flops // period == work.factorisation


def test_asi_at_full_rank_costs_more_than_vanilla_and_at_low_rank_less():
    layer, shape = nn.Linear(768, 3072), (128, 50, 768)
    vanilla = plain_flops(Sizes.from_layer(layer, shape))
    with torch.device("meta"):
        wide, narrow = (
            treat(nn.Sequential(nn.Linear(768, 3072)), "asi", rank=rank) for rank in (768, 4)
        )
    for treatment, cheaper in ((wide, False), (narrow, True)):
        treatment.module[0].input_shape = shape
        work = treatment.report()[0].flops
        assert (work.training < vanilla.training) == cheaper


def test_work_adds_up_field_by_field():
    one = LayerFlops(forward=1, decomposition=2, input_gradient=3, weight_gradient=4, update=5)
    assert one.training == 15
    assert (one + one).training == 30
    assert (one + LayerFlops(factorisation=7)).training == 15
