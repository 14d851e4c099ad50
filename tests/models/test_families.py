"""The networks against the published figures: parameters, multiply-adds, shapes, seeds."""

import importlib

import pytest
import torch
from torch import nn

from ondevice_bench.models import bert, llama, segmentation, swin, vit
from ondevice_bench.models.attention import attend
from ondevice_bench.models.families import family
from ondevice_bench.models.family import cross_entropy
from ondevice_bench.specs import registry
from ondevice_bench.worker.workload import empty
from tests.models.conftest import SMALL, options_of

PARAMETERS = {
    "resnet18": 11_689_512,
    "resnet34": 21_797_672,
    "mobilenet_v2": 3_504_872,
    "efficientnet_lite0": 4_652_008,
    "vit_b_32": 88_224_232,
    "swin_t": 28_288_354,
    "tinyllama": 1_100_048_384,
    "mcunet": 636_232,
    "minilm": 22_713_216 + 2 * 384 + 2,  # with the pooler, and a head for two classes
    # counted here: nobody publishes them for these backbones
    "pspnet": 12_641_525,
    "deeplabv3": 13_837_813,
    "fcn": 12_673_781,
    "upernet": 40_808_309,
}
# millions; in convolutions and linears, by the authors of the networks
MULTIPLY_ADDS = {"mcunet": 12.79, "mobilenet_v2": 300.8, "resnet18": 1814.1, "resnet34": 3663.8}


def full(name, **options):
    """The network at its full size, on a device without bytes, and the inputs of one example."""
    spec = registry.model(name)
    given = {**{option.name: option.default for option in spec.options}, **options}
    with torch.device("meta"):
        model = importlib.import_module(spec.implementation).construct(
            **(spec.fixed or {}), **given
        )
        inputs, _ = empty(spec.inputs(given), 1, torch.float32)
    return model, inputs


def small(name, **more):
    spec = registry.model(name)
    module = importlib.import_module(spec.implementation)
    model = module.construct(**options_of(name, **more))
    return model, module


def multiply_adds(model, inputs):
    """Counted from the shapes that hooks see, with no formula of the suite's."""
    total = 0

    def count(module, _, output):
        nonlocal total
        if isinstance(module, nn.Conv2d):
            total += output[0].numel() * module.weight[0].numel()
        elif isinstance(module, nn.Linear):
            total += output[0].numel() * module.in_features

    hooks = [m.register_forward_hook(count) for m in model.modules()]
    with torch.no_grad():
        model.eval()(inputs)
    for hook in hooks:
        hook.remove()
    return total


def test_every_model_has_its_figure_here():
    assert set(PARAMETERS) == set(SMALL) == set(registry.models())


@pytest.mark.full_size
@pytest.mark.parametrize("name", PARAMETERS)
def test_the_networks_are_the_published_ones(name):
    model, inputs = full(name)
    assert sum(p.numel() for p in model.parameters()) == PARAMETERS[name]
    if name in MULTIPLY_ADDS:
        assert round(multiply_adds(model, inputs) / 1e6, 2) == pytest.approx(
            MULTIPLY_ADDS[name], abs=0.05
        )


@pytest.mark.full_size
@pytest.mark.parametrize("head", ["pspnet", "deeplabv3", "fcn", "upernet"])
@pytest.mark.parametrize("backbone", ["resnet18", "mobilenet_v2"])
def test_segmentation_scores_every_place(head, backbone):
    model, inputs = full(head, backbone=backbone)
    assert model.eval()(inputs).shape == (1, 21, 512, 512)
    maps = model.backbone(inputs)
    stride = 32 if head == "upernet" else 8
    assert maps[-1].shape[2:] == (512 // stride, 512 // stride)


def test_the_auxiliary_head_adds_to_the_loss_in_training_alone():
    model, module = small("pspnet")
    module.initialise(model, 0)
    images = torch.randn(2, 3, 64, 64)
    labels = torch.randint(5, (2, 64, 64))
    main, auxiliary = model(images)
    assert main.shape == auxiliary.shape == (2, 5, 64, 64)
    torch.manual_seed(1)
    loss = segmentation.loss(model, (images, labels))
    torch.manual_seed(1)
    parts = [nn.functional.cross_entropy(scores, labels) for scores in model(images)]
    assert torch.isclose(loss, parts[0] + 0.4 * parts[1])
    assert model.eval()(images).shape == (2, 5, 64, 64)


@pytest.mark.parametrize("name", [*registry.models(), "linear(6, 4) at 3"])
def test_a_spec_says_whether_its_loss_is_the_default(name):
    spec = registry.model(name)
    assert spec.has_own_loss == (family(spec.implementation).loss is not cross_entropy)


@pytest.mark.parametrize("name", registry.models())
def test_a_spec_says_whether_its_network_has_dropout(name):
    with torch.device("meta"):
        model, _ = small(name)
    dropouts = (nn.Dropout, nn.Dropout2d)
    has_module = any(isinstance(m, dropouts) for m in model.modules())
    assert registry.model(name).has_dropout({}) == has_module


def test_the_default_loss_finds_the_scores_of_a_mapping():
    scores, targets = torch.randn(2, 5, 3, 3), torch.zeros(2, 3, 3, dtype=torch.int64)
    batch = scores, targets
    plain = cross_entropy(nn.Identity(), batch)
    assert cross_entropy(lambda inputs: {"out": inputs, "aux": 0 * inputs}, batch) == plain


def test_depth_and_classes_and_size_change_what_they_say():
    model = vit.construct(classes=10, depth=2, image_size=64)
    assert len(model.encoder.layers) == 2
    assert model.encoder.pos_embedding.shape[1] == 5
    assert model(torch.zeros(3, 3, 64, 64)).shape == (3, 10)
    assert len(llama.construct(layers=3, length=4, attention="fused").model.layers) == 3
    assert len(bert.construct(2, 7, 4, "fused").encoder.layer) == 2
    assert bert.construct(2, 7, 4, "fused")(torch.zeros(3, 4).long()).shape == (3, 7)


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("with_bias", [False, True])
@pytest.mark.parametrize("explicit", [False, True])
def test_attention_is_the_formula(causal, with_bias, explicit):
    if causal and with_bias:
        pytest.skip("no network here has both")
    q, k, v = torch.randn(3, 2, 3, 5, 4, dtype=torch.float64)
    bias = torch.randn(3, 5, 5, dtype=torch.float64) if with_bias else None
    scores = torch.einsum("bhnd,bhmd->bhnm", q, k) / 2.0  # sqrt(4)
    if bias is not None:
        scores = scores + bias
    if causal:
        for n in range(5):
            scores[:, :, n, n + 1 :] = -torch.inf
    expected = torch.einsum("bhnm,bhmd->bhnd", scores.softmax(-1), v)
    found = attend(q, k, v, explicit=explicit, causal=causal, bias=bias)
    assert (found - expected).abs().max() < 1e-12


@pytest.mark.parametrize("name", ["vit_b_32", "swin_t", "tinyllama", "minilm"])
def test_explicit_attention_computes_the_same(name):
    fused, module = small(name, attention="fused")
    module.initialise(fused, 0)
    explicit, _ = small(name, attention="explicit")
    explicit.load_state_dict(fused.state_dict())
    inputs = registry.model(name).inputs(options_of(name))
    batch = empty(inputs, 2, torch.float64)
    if batch[0].is_floating_point():
        batch = (torch.randn_like(batch[0]), batch[1])
    else:
        batch = (torch.randint(100, batch[0].shape), batch[1])
    gradients = []
    for model in (fused.double(), explicit.double()):
        cross_entropy(model, batch).backward()
        gradients.append({n: p.grad for n, p in model.named_parameters() if p.grad is not None})
    for key, grad in gradients[0].items():
        assert torch.allclose(grad, gradients[1][key], rtol=1e-9, atol=1e-12), key


def test_swin_attends_within_shifted_windows_only():
    block = swin.WindowAttention(8, 2, shifted=True, explicit=False).double()
    with torch.no_grad():
        for p in block.parameters():
            p.normal_()
    x = torch.randn(1, 14, 14, 8, dtype=torch.float64, requires_grad=True)
    y = block(x)
    y[0, 0, 0].sum().backward()
    reached = x.grad[0].abs().sum(-1) > 1e-30
    # shifted by three: the corner's window holds the first three rows and columns
    assert reached.nonzero().tolist() == [[r, c] for r in range(3) for c in range(3)]


@pytest.mark.parametrize("name", ["vit_b_32", "swin_t"])
def test_fused_projections_are_split_on_load_and_joined_on_save(name):
    model, module = small(name)
    module.initialise(model, 0)
    saved = model.state_dict()
    fused = [key for key in saved if "in_proj_" in key or ".qkv." in key]
    assert fused
    assert not any(key.rpartition(".")[0].endswith((".q", ".k", ".v")) for key in saved)
    twin, _ = small(name)
    twin.load_state_dict(saved)
    for (key, ours), theirs in zip(model.named_parameters(), twin.parameters(), strict=True):
        assert torch.equal(ours, theirs), key
    first = fused[0]
    prefix = first.replace("in_proj_weight", "").replace("qkv.weight", "")
    parts = [model.get_parameter(f"{prefix}{part}.weight") for part in "qkv"]
    assert torch.equal(saved[first], torch.cat(parts))


@pytest.mark.parametrize("name", SMALL)
class TestWeights:
    def build(self, name, seed, fill):
        model, module = small(name)
        with torch.no_grad():
            for tensor in [*model.parameters(), *model.buffers()]:
                tensor.fill_(fill)
        module.initialise(model, seed)
        return model.state_dict()

    def test_every_weight_comes_from_the_seed(self, name):
        one, two = (self.build(name, seed=3, fill=fill) for fill in (7, 5))
        assert one.keys() == two.keys()
        for key, value in one.items():
            assert torch.equal(value, two[key]), key

    def test_other_seeds_give_other_weights(self, name):
        one, two = (self.build(name, seed, fill=0) for seed in (0, 1))
        matrices = [key for key in one if one[key].ndim >= 2 and one[key].is_floating_point()]
        matrices = [key for key in matrices if key != "class_token"]  # starts at zero
        assert matrices
        assert all(not torch.equal(one[key], two[key]) for key in matrices)

    def test_the_global_random_stream_is_left_alone(self, name):
        model, module = small(name)
        before = torch.random.get_rng_state()
        module.initialise(model, 0)
        assert torch.equal(before, torch.random.get_rng_state())

    def test_a_checkpoint_of_its_own_loads_unchanged(self, name, tmp_path):
        model, module = small(name)
        module.initialise(model, 0)
        torch.save(model.state_dict(), tmp_path / "w.pt")
        twin, _ = small(name)
        twin.load_state_dict(torch.load(tmp_path / "w.pt", weights_only=True))
        for key, value in model.state_dict().items():
            assert torch.equal(value, twin.state_dict()[key]), key
