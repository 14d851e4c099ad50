"""`treat`: which layers, what it reports, and how it refuses."""

import copy
import json

import pytest
import torch
from torch import nn

from ondevice_bench.errors import BadInput, Refusal
from ondevice_bench.methods import treat
from ondevice_bench.models import mcunet, vit
from ondevice_bench.models.layers import NoSuchLayers, guessed_layout, select_layers
from ondevice_bench.specs import registry
from ondevice_bench.specs.layout import ModelLayout
from ondevice_bench.suite.load import load_suite

VIT = vit.construct(classes=10, depth=3, image_size=64)
MCUNET = mcunet.construct(classes=10, image_size=96)
RULES = "rank, epsilon, fraction, trained, budget_mib, perplexity"


def chosen(model, name, layers):
    return select_layers(model, layers, registry.model(name).layout)


def test_parts_of_a_transformer():
    block = "encoder.layers.encoder_layer_{}."
    mlp = chosen(VIT, "vit_b_32", "mlp").layers
    assert mlp == tuple(f"{block.format(i)}mlp.{n}" for i in range(3) for n in (0, 3))
    attention = chosen(VIT, "vit_b_32", "attention").layers
    assert attention[:4] == tuple(
        block.format(0) + f"self_attention.{n}" for n in ("q", "k", "v", "out_proj")
    )
    both = chosen(VIT, "vit_b_32", "attention+mlp").layers
    assert set(both) == {*mlp, *attention}
    assert len(both) == 18
    assert len(chosen(VIT, "vit_b_32", "all").layers) == 18 + 2  # patches and head


def test_last_counts_linears_without_the_head_and_freezes_all_before():
    found = chosen(VIT, "vit_b_32", "last:2")
    block = "encoder.layers.encoder_layer_2."
    assert found.layers == (f"{block}mlp.0", f"{block}mlp.3")
    trained = [name for name, _ in VIT.named_parameters() if name not in found.frozen]
    assert trained == [
        f"{block}mlp.0.weight",
        f"{block}mlp.0.bias",
        f"{block}mlp.3.weight",
        f"{block}mlp.3.bias",
        "encoder.ln.weight",
        "encoder.ln.bias",
        "heads.head.weight",
        "heads.head.bias",
    ]


def test_last_of_a_pattern_counts_the_layers_that_match_and_freezes_all_before():
    found = chosen(VIT, "vit_b_32", "last:3 of *mlp*")
    last, before = ("encoder.layers.encoder_layer_2.mlp", "encoder.layers.encoder_layer_1.mlp")
    assert found.layers == (f"{before}.3", f"{last}.0", f"{last}.3")
    assert f"{before}.0.weight" in found.frozen
    assert "encoder.layers.encoder_layer_2.self_attention.out_proj.weight" not in found.frozen
    assert chosen(MCUNET, "mcunet", "last:2 of *depth_conv*").layers == tuple(
        f"blocks.{block}.mobile_inverted_conv.depth_conv.conv" for block in (12, 13)
    )
    assert "classifier.linear" not in chosen(MCUNET, "mcunet", "last:3 of *").layers


def test_last_counts_convolutions_in_a_cnn():
    found = chosen(MCUNET, "mcunet", "last:2")
    assert [name.rpartition("mobile_inverted_conv.")[2] for name in found.layers] == [
        "depth_conv.conv",
        "point_linear.conv",
    ]
    assert "classifier.linear.weight" not in found.frozen
    assert chosen(MCUNET, "mcunet", "last_blocks:1").layers == tuple(
        f"blocks.13.mobile_inverted_conv.{n}.conv"
        for n in ("inverted_bottleneck", "depth_conv", "point_linear")
    )


@pytest.mark.parametrize(
    ("layers", "says"),
    [
        ("pattern:blocks.3.conv", "matches no layer; near it: blocks"),
        ("last:99", "but this network has only 42 of these layers"),
        ("last:99 of *depth_conv*", "but this network has only 14 of these layers"),
        ("last:1 of *mlp*", "matches no layer; near it: "),
        ("last_blocks:15", "but this network declares 14 blocks"),
        ("mlp", "this network declares no such part"),
    ],
)
def test_a_choice_that_means_nothing_is_one_line(layers, says):
    with pytest.raises(NoSuchLayers, match=says) as caught:
        chosen(MCUNET, "mcunet", layers)
    assert "\n" not in str(caught.value)


def test_what_is_frozen_stores_nothing():
    model = nn.Sequential(*(nn.Linear(8, 8) for _ in range(4)))
    treat(model, "asi", "last:1", rank=2)
    assert guessed_layout(model).head == "3"
    assert [p.requires_grad for p in model.parameters()] == [False] * 4 + [True] * 4
    y = model[1](model[0](torch.ones(2, 8)))
    assert y.grad_fn is None


@pytest.mark.parametrize("part", [{"mlp": "0"}, {"blocks": "0"}, {"counts": "conv2d"}])
def test_what_a_layout_leaves_out_is_as_without_a_layout(part):
    def network():
        return nn.Sequential(nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 3), nn.Flatten(), nn.Linear(16, 2))

    plain = treat(network(), "asi", "last:1", rank=2)
    given = treat(network(), "asi", "last:1", rank=2, layout=ModelLayout(**part))
    assert given.chosen == plain.chosen == ("1",)
    linears = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 2))
    layout = ModelLayout(counts="linear")
    assert treat(linears, "asi", "last:1", rank=2, layout=layout).chosen == ("0",)
    single = nn.Linear(4, 4)
    assert treat(single, "vanilla", "last:1", layout=layout).chosen == ("",)
    assert all(each.requires_grad for each in single.parameters())


def test_a_head_that_the_network_lacks_is_refused():
    model = nn.ModuleDict({"body": nn.Linear(4, 4), "classifier": nn.Linear(4, 2)})
    says = "layout: head: the network has no module 'clasifier'; did you mean 'classifier'?"
    with pytest.raises(Refusal) as error:
        treat(model, "vanilla", "last:1", layout=ModelLayout(head="clasifier"))
    assert str(error.value) == says


def test_a_block_without_parameters_ends_what_is_frozen():
    blocks = (nn.Sequential(nn.Linear(4, 4), nn.ReLU()) for _ in range(2))
    first, second = blocks
    model = nn.Sequential(first, nn.Dropout(), second, nn.Linear(4, 2))
    treatment = treat(model, "vanilla", "last_blocks:2", layout=ModelLayout(blocks="[0-2]"))
    assert treatment.chosen == ("2.0",)
    assert [p.requires_grad for p in model.parameters()] == [False] * 2 + [True] * 4


def test_a_head_that_shares_its_weight_with_the_frozen_part_is_named():
    model = nn.Sequential(nn.Embedding(5, 4), nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 5))
    model[3].weight = model[0].weight
    treatment = treat(model, "vanilla", "last:1")
    trained = [name for name, each in model.named_parameters() if each.requires_grad]
    assert trained == ["2.weight", "2.bias", "3.bias"]
    assert treatment.notes() == [
        "3.weight does not train: it is shared with the part that the choice of layers freezes"
    ]
    model[0].requires_grad_(False)  # by the user
    assert treat(model, "vanilla", "last:1").notes() == []


@pytest.mark.parametrize("affine", [True, False])
def test_the_norms_of_the_frozen_part_do_not_train_with_parameters_or_without(affine):
    def unit():
        return nn.Sequential(nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3, affine=affine))

    def network():
        return nn.Sequential(nn.BatchNorm2d(3, affine=affine), unit(), unit())

    model = network()
    assert treat(model, "vanilla").frozen_norms == ()
    for layers in ("last:1", "last_blocks:1"):
        model = network()
        treatment = treat(model, "vanilla", layers, layout=ModelLayout(blocks="?"))
        assert treatment.frozen_norms == (model[0], model[1][1])
        treatment.merge()
        assert treatment.frozen_norms == ()
    model[2].requires_grad_(False)  # by the user
    assert treat(model, "vanilla").frozen_norms == ((model[2][1],) if affine else ())


@pytest.mark.parametrize("momentum", [0.1, None])
def test_the_norms_of_the_frozen_part_compute_as_in_evaluation_in_training_mode(momentum):
    norms = [nn.BatchNorm2d(3, momentum=momentum) for _ in range(2)]
    model = nn.Sequential(norms[0], nn.Conv2d(3, 3, 1), norms[1], nn.Conv2d(3, 3, 1))
    for norm in norms:
        norm.running_mean.normal_()
    x = torch.randn(4, 3, 5, 5)
    with torch.no_grad():
        expected = copy.deepcopy(model).eval()[:3](x)
    treatment = treat(model, "vanilla", "last:1")
    before = copy.deepcopy(model.state_dict())
    for network in (treatment.module, copy.deepcopy(treatment).module):
        assert torch.equal(network.train()[:3](x), expected)
    assert all(torch.equal(before[name], each) for name, each in model.state_dict().items())
    assert all(norm.training for norm in norms)
    treatment.merge()(x)
    assert [type(norm) for norm in norms] == [nn.BatchNorm2d, nn.BatchNorm2d]
    assert not torch.equal(norms[0].running_mean, before["0.running_mean"])


def test_a_report_names_layers_ranks_and_elements():
    model = nn.Sequential(nn.Linear(8, 8), nn.Linear(8, 2))
    treatment = treat(model, "hosvd", rank=3)
    assert [(r.name, r.elements) for r in treatment.report()] == [("0", None), ("1", None)]
    model(torch.randn(4, 5, 8))
    first, _ = treatment.report()
    assert (first.ranks.activation, first.shape) == ((3, 3, 3), (4, 5, 8))
    assert first.elements == 27 + 3 * (4 + 5 + 8)


@pytest.mark.parametrize(
    ("method", "options"),
    [("hosvd", {"rank": 3}), ("wsi", {"rank": 3}), ("wasi", {"rank": 3}), ("lora", {"rank": 2})],
)
def test_a_report_has_the_bytes_of_the_type_that_the_network_has_now(method, options):
    treatment = treat(nn.Sequential(nn.Linear(8, 8)), method, **options)
    treatment.module.bfloat16()(torch.randn(4, 5, 8).bfloat16())
    (layer,) = treatment.report()
    assert (layer.stored_bytes, layer.input_bytes) == (2 * layer.elements, 2 * 4 * 5 * 8)


class Reading(nn.Module):
    """Reads the weight of its layer itself, as Swin's attention does."""

    def __init__(self):
        super().__init__()
        self.qkv = nn.Linear(8, 8)

    def forward(self, x):
        return nn.functional.linear(x, self.qkv.weight, self.qkv.bias)


def test_a_layer_that_the_network_never_calls_is_named():
    treatment = treat(nn.Sequential(nn.Linear(8, 8), Reading()), "asi", rank=3)
    assert treatment.not_called == ("0", "1.qkv")
    treatment.module(torch.randn(4, 5, 8)).sum().backward()
    assert treatment.not_called == ("1.qkv",)
    assert [(r.name, r.is_called) for r in treatment.report()] == [("0", True), ("1.qkv", False)]
    treatment.require_calls()
    (note,) = treatment.notes()
    assert note == (
        "1 of 2 changed layers saw no input in training, because the network reads their weights "
        "itself, does not use them, or has frozen them: 1.qkv"
    )


def test_a_network_that_calls_no_changed_layer_is_refused_after_a_step():
    treatment = treat(nn.Sequential(*(Reading() for _ in range(5))), "asi", rank=3)
    treatment.module(torch.randn(4, 5, 8)).sum().backward()
    says = "^no changed layer saw an input in training, .*: 0.qkv, 1.qkv, 2.qkv and 2 more$"
    with pytest.raises(Refusal, match=says):
        treatment.require_calls()


def test_training_without_changed_layers_needs_no_calls():
    treatment = treat(nn.Linear(8, 8), "vanilla")
    treatment.require_calls()
    assert treatment.notes() == []


def test_layers_of_other_kinds_are_left_alone_and_named():
    class Odd(nn.Linear):
        pass

    model = nn.Sequential(
        nn.Linear(4, 4), Odd(4, 4), nn.Conv2d(2, 2, 3, padding=1, padding_mode="reflect")
    )
    treatment = treat(model, "svd", rank=1)
    assert [r.name for r in treatment.report()] == ["0"]
    assert treatment.refusals == {
        "1": "is a Odd, not a Linear or Conv2d",
        "2": "pads with 'reflect'; only zeros are treated",
    }


def test_a_subclass_with_the_same_name_is_called_a_subclass():
    same_name = type("Linear", (nn.Linear,), {"__module__": "their.layers"})
    treatment = treat(nn.Sequential(nn.Linear(4, 4), same_name(4, 4)), "asi", rank=1)
    assert treatment.refusals == {
        "1": "is a subclass of Linear (its module: their.layers), which may compute something else"
    }


class Conv1D(nn.Module):
    """As GPT-2's: a linear layer whose weight is transposed."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(8, 4))


MIXED = nn.ModuleDict(
    {
        "words": nn.Embedding(5, 4),
        "attention": nn.MultiheadAttention(4, 2),
        "feed": Conv1D(),
        "wave": nn.Conv1d(1, 2, 3),
        "memory": nn.GRU(4, 4),
        "norm": nn.LayerNorm((3, 4)),
        "head": nn.Linear(4, 4),
    }
)
_KINDS = "(methods treat Linear and Conv2d)"


def test_weights_of_no_known_kind_are_not_silently_missing():
    assert treat(copy.deepcopy(MIXED), "lora", rank=1).refusals == {
        "attention": f"is a MultiheadAttention {_KINDS}",
        "attention.out_proj": "is a NonDynamicallyQuantizableLinear, not a Linear or Conv2d",
        "feed": f"is a Conv1D of {__name__} {_KINDS}",
        "wave": f"is a Conv1d {_KINDS}",
        "memory": f"is a GRU {_KINDS}",
    }


@pytest.mark.parametrize(
    ("layers", "names"),
    [("pattern:f*", "feed is a Conv1D of .*"), ("conv", "wave is a Conv1d .*")],
)
def test_a_choice_of_such_weights_alone_is_refused_with_their_kinds(layers, names):
    with pytest.raises(Refusal, match=f"^Asi applies to none of the chosen layers: {names}$"):
        treat(copy.deepcopy(MIXED), "asi", layers, rank=1)


@pytest.mark.parametrize(
    ("model", "says"),
    [
        (nn.Sequential(nn.Conv3d(1, 1, 2)), f"0 is a Conv3d {_KINDS}"),
        (nn.ReLU(), f"the network has no matrix as weight {_KINDS}"),
        (nn.Conv3d(1, 1, 2), f"the network is a Conv3d {_KINDS}"),
        (
            nn.Sequential(*(nn.Conv1d(1, 1, 1) for _ in range(5))),
            "; ".join(f"{place} is a Conv1d {_KINDS}" for place in range(3)) + "; and 2 more",
        ),
    ],
)
def test_a_network_without_treatable_layers_says_what_it_has(model, says):
    with pytest.raises(Refusal) as caught:
        treat(model, "asi", rank=1)
    assert str(caught.value) == f"Asi applies to none of the chosen layers: {says}"


METHODS = ("asi", "hosvd", "svd", "wsi", "wasi", "lora", "lora_fa", "wsi_svd")
NEW_WEIGHT = ("wsi", "wasi", "lora", "lora_fa", "wsi_svd")


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    ("layer", "shape", "says"),
    [
        (nn.Conv2d(3, 4, 3), (3, 8, 8), r"methods treat convolutions of batches \(B, C, H, W\)"),
        (nn.Linear(4, 4), (4,), "methods treat linear layers with inputs of two or more"),
    ],
)
def test_an_input_without_a_batch_is_refused_in_one_sentence(method, layer, shape, says):
    module = treat(nn.Sequential(copy.deepcopy(layer)), method, rank=1).module
    with pytest.raises(Refusal, match=rf"^0: the input has the shape \({shape[0]},.*: {says}"):
        module(torch.randn(shape))
    assert module.eval()(torch.randn(shape)).isfinite().all()


@pytest.mark.parametrize("method", [*METHODS, "gradient_filter"])
@pytest.mark.parametrize("shape", [(0, 3, 8, 8), (2, 3, 8, 8)])
def test_an_empty_batch_is_exact_or_refused_in_one_sentence(method, shape):
    options = {} if method == "gradient_filter" else {"rank": 1}
    treatment = treat(nn.Sequential(nn.Conv2d(3, 4, 3)), method, **options)
    optimizer = treatment.optimizer(lr=0.1)
    before = copy.deepcopy(treatment).merge()[0].weight
    if 0 in shape and method in {"asi", "hosvd", "svd", "wasi"}:
        with pytest.raises(Refusal, match=r"the method cannot decompose an empty tensor$"):
            treatment.module(torch.randn(shape))
        return
    treatment.module(torch.randn(shape)).sum().backward()
    optimizer.step()
    after = treatment.merge()[0].weight
    assert torch.allclose(before, after, atol=1e-6) == (0 in shape)


@pytest.mark.parametrize(
    ("method", "model", "says"),
    [
        ("gradient_filter", nn.Linear(4, 4), "GradientFilter applies to none .* 0 is a Linear"),
        ("wasi", nn.Conv2d(4, 4, 3, groups=2), "Wasi applies to none .* 0 has 2 groups"),
    ],
)
def test_a_method_without_a_suitable_layer_says_why(method, model, says):
    options = {} if method == "gradient_filter" else {"rank": 2}
    with pytest.raises(Refusal, match=says):
        treat(nn.Sequential(model), method, **options)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({}, f"needs one of {RULES}"),
        ({"rank": 2, "epsilon": 0.5}, f"takes one of {RULES}, got rank and epsilon"),
        (
            {"rnk": 2, "rank": 2},
            f"unknown option 'rnk'; did you mean 'rank'? (allowed: {RULES}, least, multiple, sequential)",
        ),
        (
            {"rank": 2, "weight_rank": 2},
            f"unknown option 'weight_rank'; did you mean 'rank'? (allowed: {RULES}, least, multiple, sequential)",
        ),
        (
            {"rank": 0},
            "must be an integer of at least 1, or one for each mode such as 8x16x32, got 0",
        ),
        ({"rank": 2, "sequential": "yes"}, "must be true or false, got 'yes'"),
    ],
)
def test_a_script_and_a_suite_refuse_bad_options_in_the_same_words(options, says, tmp_path):
    with pytest.raises(ValueError) as in_script:
        treat(nn.Sequential(nn.Linear(4, 4)), "asi", **options)
    assert str(in_script.value).startswith("asi: ")
    assert str(in_script.value).endswith(says)
    suite = {"schema": 1, "title": "x", "models": ["mcunet"], "methods": [{"asi": options}]}
    path = tmp_path / "suite.yaml"
    path.write_text(json.dumps(suite))  # JSON is YAML
    with pytest.raises(BadInput) as in_suite:
        load_suite(str(path))
    assert says in str(in_suite.value)


def test_a_single_layer_can_be_treated_as_it_stands():
    treatment = treat(nn.Linear(6, 4), "wasi", rank=2)
    treatment.module(torch.randn(3, 6)).sum().backward()
    assert [r.name for r in treatment.report()] == [""]
    assert type(treatment.merge()) is nn.Linear


@pytest.mark.parametrize("method", NEW_WEIGHT)
def test_a_weight_that_two_layers_share_is_never_untied(method):
    model = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 4))
    model[2].weight = model[0].weight
    treatment = treat(model, method, rank=2)
    assert [r.name for r in treatment.report()] == ["1"]
    assert treatment.refusals == {
        "0": "shares its weight with 2.weight",
        "2": "shares its weight with 0.weight",
    }
    assert model[2].weight is model[0].weight


class Aliased(nn.Module):
    """Has one layer under two names, and another under two names of its parent."""

    def __init__(self):
        super().__init__()
        self.first = self.again = nn.Linear(4, 4)
        self.inside = self.same = nn.Sequential(nn.Linear(4, 4))
        self.tied, self.partner = nn.Linear(4, 4), nn.Linear(4, 4)
        self.partner.weight = self.tied.weight

    def forward(self, x):
        return self.tied(self.same(self.again(self.inside(self.first(x)))))


@pytest.mark.parametrize("method", METHODS)
def test_a_layer_with_two_names_is_replaced_and_merged_under_both(method):
    plain = Aliased()
    names, x = list(plain.state_dict()), torch.randn(3, 4)
    model = copy.deepcopy(plain)
    treatment = treat(model, method, rank=4)
    assert model.first is model.again
    assert model.inside[0] is model.same[0]
    assert type(model.first) is type(model.inside[0]) is not nn.Linear
    assert list(treatment.refusals) == (["tied", "partner"] if method in NEW_WEIGHT else [])
    assert torch.allclose(model(x), plain(x), atol=1e-5)
    treatment.merge()
    assert type(model.first) is type(model.same[0]) is nn.Linear
    assert model.first is model.again
    assert list(model.state_dict()) == names
    assert torch.allclose(model(x), plain(x), atol=1e-5)
