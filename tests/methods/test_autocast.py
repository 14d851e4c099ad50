"""Loops that run more than the forward within `torch.autocast`: all else has its own precision."""

import pytest
import torch
from torch import nn

from ondevice_bench.methods.treatment import treat
from tests.methods.loops import FULL, RATE, batches, loss, network, treated, weights


def in_bfloat16():
    return torch.autocast("cpu", torch.bfloat16)


def with_penalty(module, batch):
    return loss(module, batch) + 0.1 * module[0][0].weight.square().sum()


def singles(*counts):
    """Batches in float32."""
    return [(x.float(), classes) for x, classes in batches(*counts)]


@pytest.mark.parametrize(
    ("method", "options", "penalty"),
    [
        ("wsi", FULL, False),
        ("wsi", FULL, True),
        ("wasi", FULL, False),
        ("wasi", FULL, True),
        ("wsi_svd", FULL, False),
        ("galore", {"rank": 2}, False),
        ([("galore", {"rank": 2}), ("update_in_backward", {})], {}, False),
        ("lora", {"rank": 2}, False),
    ],
)
def test_backward_step_and_merge_within_autocast_are_those_without(method, options, penalty):
    found, expected = (treated(method, network().float(), **options) for _ in range(2))
    inside, outside = (each.optimizer(lr=RATE) for each in (found, expected))
    objective = with_penalty if penalty else loss
    for batch in singles():
        with in_bfloat16():
            objective(found.module, batch).backward()
            inside.step()
            inside.zero_grad()
            value = loss(expected.module, batch)
        if penalty:
            value = value + 0.1 * expected.module[0][0].weight.square().sum()
        value.backward()
        outside.step()
        outside.zero_grad()
    with in_bfloat16():
        ours = weights(found.merge())
    theirs = weights(expected.merge())
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], each) for name, each in theirs.items())


@pytest.mark.parametrize("method", ["wsi", "wsi_svd"])
def test_a_weight_that_is_cut_within_autocast_loses_nothing_at_full_rank(method):
    with in_bfloat16():
        merged = treated(method, network().float(), **FULL).merge()
    for name, each in weights(network()).items():
        assert (weights(merged)[name] - each).abs().max() < 1e-6


def test_ranks_and_bases_of_a_calibration_within_autocast_are_those_without():
    torch.manual_seed(0)
    # two directions of the channels have all of the energy
    x = torch.einsum("bkhw,ck->bchw", torch.randn(3, 2, 5, 5), torch.randn(8, 2))
    results = []
    for method, rule in (("hosvd", {"epsilon": 0.9999}), ("lance", {"rank": 2})):
        for is_inside in (True, False):
            treatment = treat(nn.Conv2d(8, 4, 3), method, **rule)
            with torch.autocast("cpu", torch.bfloat16, enabled=is_inside):
                ranks = treatment.calibrate(x)
            results.append((ranks, list(treatment.state())))
    (inside, _), (outside, _), (_, found), (_, expected) = results
    assert inside == outside
    assert outside[""].activation[1] == 2
    assert all(map(torch.equal, found, expected))


def test_a_budget_counts_what_is_stored_where_the_loss_alone_is_within_autocast():
    def cast(module, batch):
        with in_bfloat16():
            return loss(module, batch)

    def elements(budget):
        treatment = treated("hosvd", network().float(), budget_mib=budget)
        treatment.calibrate(batch, cast)
        cast(treatment.module, batch)
        return sum(layer.elements for layer in treatment.report())

    (batch,) = singles(1, 32)
    most = elements(1.0)
    assert elements(2 * most / 2**20) == most
