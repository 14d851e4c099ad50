"""Accounted memory: the papers' figures, sums by hand, and agreement with what is saved."""

from pathlib import Path

import pytest
import torch
from torch import nn

from ondevice_bench.measure.activations import saved_bytes
from ondevice_bench.methods.make_method import make_method
from ondevice_bench.methods.ranks import Ranks
from ondevice_bench.methods.treatment import treat
from ondevice_bench.papers.counting.accounting import account, vanilla_account
from tests.measure.test_activations import SumStep

MIB = 2**20


def accounted(name, layer, shape, ranks=None, **options):
    method, _ = make_method(name, options)
    return account(name, method, layer, shape, ranks or Ranks())


def test_vanilla_vit_is_what_the_paper_prints():
    widths = [(768, 768)] * 4 + [(768, 3072), (3072, 768)]
    with torch.device("meta"):
        found = [vanilla_account(nn.Linear(i, o), (128, 50, i)) for i, o in widths]
    activations = 12 * sum(each.activation_elements for each in found) * 4 / MIB
    weights = 12 * sum(each.weight_elements for each in found) * 4 / MIB
    assert (activations, weights) == (2025.0, 324.0)


def test_factors_of_inputs_and_weights():
    layer, shape = nn.Linear(768, 3072), (128, 50, 768)
    found = accounted("wasi", layer, shape, Ranks((20, 30, 40), 100), rank=1)
    assert found.activation_elements == 20 * 30 * 40 + 128 * 20 + 50 * 30 + 768 * 40
    assert found.weight_elements == 100 * (768 + 3072)
    found = accounted("asi", layer, shape, Ranks((20, 30, 40)), rank=1)
    assert found.weight_elements == 768 * 3072
    found = accounted("wsi", layer, shape, Ranks((), 100), rank=1)
    assert found.activation_elements == 128 * 50 * 768
    found = accounted("svd", layer, shape, Ranks((20,)), rank=1)
    assert found.activation_elements == 128 * 20 + 20 * 50 * 768


def test_integers_are_accounted_with_the_bytes_of_their_type():
    top_k = Path(__file__).parent.parent / "methods/samples/top_k.py"
    found = accounted(f"{top_k}:TopK", nn.Linear(10, 8), (6, 10), keep=0.1)
    assert found.activation_elements == 6 + 6
    assert found.activation_bytes == found.stored_bytes == 6 * 4 + 6 * 8


def test_lora_leaves_out_what_the_papers_leave_out():
    layer, shape = nn.Linear(768, 3072), (128, 50, 768)
    found = accounted("lora", layer, shape, rank=8)
    assert found.activation_elements == 128 * 50 * 768
    assert found.weight_elements == 768 * 3072 + 8 * (768 + 3072)


def test_lora_fa_stores_the_thin_product_alone():
    layer, shape = nn.Linear(768, 3072), (128, 50, 768)
    found = accounted("lora_fa", layer, shape, rank=8)
    assert found.activation_elements == 128 * 50 * 8
    assert found.weight_elements == 768 * 3072 + 8 * (768 + 3072)


@pytest.mark.parametrize("radius", [2, 4, 7])
@pytest.mark.parametrize(
    ("layer", "size"),
    [
        (nn.Conv2d(4, 6, 3, 1, 1), 56),
        (nn.Conv2d(4, 6, 3, 2, 1), 56),
        (nn.Conv2d(4, 6, 1), 14),
        (nn.Conv2d(4, 4, 5, 1, 2, groups=4), 28),
        (nn.Conv2d(4, 6, 3, 1, 1), 7),
    ],
)
def test_the_published_patches_are_ours_where_networks_use_them(layer, size, radius):
    method, _ = make_method("gradient_filter", {"radius": radius})
    shape = (3, 4, size, size)
    found = accounted("gradient_filter", layer, shape, radius=radius)
    assert found.activation_elements == method.stored(layer, shape, ())
    assert found.weight_elements == layer.weight.numel()


@pytest.mark.parametrize(
    ("method", "options", "ranks"),
    [
        ("svd", {"rank": 2}, Ranks((2,))),
        ("hosvd", {"rank": 2}, Ranks((2, 2, 2))),
        ("asi", {"rank": 2}, Ranks((2, 2, 2))),
        ("wsi", {"rank": 2}, Ranks((), 2)),
        ("wasi", {"rank": 2}, Ranks((2, 2, 2), 2)),
    ],
)
def test_an_account_of_one_layer_is_what_autograd_keeps_for_it(method, options, ranks):
    # the layer before makes its input something else than the batch
    model = nn.Sequential(nn.Linear(10, 10), nn.Linear(10, 10))
    found = accounted(method, model[1], (4, 6, 10), ranks, **options)
    treatment = treat(model, method, "pattern:1", **options)
    assert saved_bytes(SumStep(treatment.module, torch.randn(4, 6, 10))) == (
        found.activation_elements * 4
    )
