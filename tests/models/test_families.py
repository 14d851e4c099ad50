"""The networks against the published figures: parameters, multiply-adds, shapes, seeds."""

import pytest
import torch
from torch import nn

from bench.models import mcunet, vit

FULL_VIT = {"classes": 1000, "depth": 12, "image_size": 224}


def multiply_adds(model, size):
    """Counted from the shapes that hooks see, with no formula of the suite's."""
    total = 0

    def count(module, inputs, output):
        nonlocal total
        if isinstance(module, nn.Conv2d):
            total += output[0].numel() * module.weight[0].numel()
        elif isinstance(module, nn.Linear):
            total += output[0].numel() * module.in_features

    hooks = [m.register_forward_hook(count) for m in model.modules()]
    with torch.no_grad():
        model.eval()(torch.zeros(1, 3, size, size))
    for hook in hooks:
        hook.remove()
    return total


def test_mcunet_is_the_published_network():
    model = mcunet.construct(classes=1000)
    assert sum(p.numel() for p in model.parameters()) == 636_232
    assert round(multiply_adds(model, 96) / 1e6, 2) == 12.79


def test_vit_b_32_is_the_published_network():
    model = vit.construct(**FULL_VIT)
    assert sum(p.numel() for p in model.parameters()) == 88_224_232
    assert model.encoder.pos_embedding.shape == (1, 50, 768)


def test_depth_and_classes_and_size_change_what_they_say():
    model = vit.construct(classes=10, depth=2, image_size=64)
    assert len(model.encoder.layers) == 2
    assert model.encoder.pos_embedding.shape[1] == 5
    assert model(torch.zeros(3, 3, 64, 64)).shape == (3, 10)
    assert mcunet.construct(classes=7)(torch.zeros(2, 3, 96, 96)).shape == (2, 7)


def test_vit_attends_as_the_formula_says():
    attention = vit.SelfAttention(width=12, heads=3).double()
    x = torch.randn(2, 5, 12, dtype=torch.float64)
    heads = [m(x).reshape(2, 5, 3, 4) for m in (attention.q, attention.k, attention.v)]
    q, k, v = heads
    scores = torch.einsum("bnhd,bmhd->bhnm", q, k) / 2.0  # sqrt(4)
    mixed = torch.einsum("bhnm,bmhd->bnhd", scores.softmax(-1), v).reshape(2, 5, 12)
    expected = attention.out_proj(mixed)
    assert (attention(x) - expected).abs().max() / expected.abs().max() < 1e-12


def test_public_names_of_parameters():
    names = {name for name, _ in vit.construct(10, 1, 32).named_parameters()}
    assert {
        "class_token",
        "conv_proj.weight",
        "encoder.pos_embedding",
        "encoder.layers.encoder_layer_0.ln_1.weight",
        "encoder.layers.encoder_layer_0.mlp.0.weight",
        "encoder.layers.encoder_layer_0.mlp.3.bias",
        "encoder.layers.encoder_layer_0.self_attention.out_proj.weight",
        "encoder.ln.bias",
        "heads.head.weight",
    } <= names


@pytest.mark.parametrize(
    ("family", "options"),
    [(mcunet, {"classes": 10}), (vit, {"classes": 10, "depth": 1, "image_size": 32})],
    ids=["mcunet", "vit"],
)
class TestWeights:
    def build(self, family, options, seed, fill):
        model = family.construct(**options)
        with torch.no_grad():
            for tensor in [*model.parameters(), *model.buffers()]:
                tensor.fill_(fill)
        family.initialise(model, seed)
        return model.state_dict()

    def test_every_weight_comes_from_the_seed(self, family, options):
        one = self.build(family, options, seed=3, fill=float("nan") if family is vit else 7)
        two = self.build(family, options, seed=3, fill=5)
        assert one.keys() == two.keys()
        for name, value in one.items():
            assert torch.equal(value, two[name]), name

    def test_other_seeds_give_other_weights(self, family, options):
        one, two = (self.build(family, options, seed, fill=0) for seed in (0, 1))
        weights = [name for name in one if name.endswith(("conv.weight", "mlp.0.weight"))]
        assert weights
        assert all(not torch.equal(one[name], two[name]) for name in weights)

    def test_the_global_random_stream_is_left_alone(self, family, options):
        model = family.construct(**options)
        before = torch.random.get_rng_state()
        family.initialise(model, 0)
        assert torch.equal(before, torch.random.get_rng_state())

    def test_gradients_reach_every_parameter(self, family, options):
        model = family.construct(**options)
        family.initialise(model, 0)
        size = options.get("image_size", 96)
        loss = nn.functional.cross_entropy(model(torch.randn(4, 3, size, size)), torch.arange(4))
        loss.backward()
        assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in model.parameters())
