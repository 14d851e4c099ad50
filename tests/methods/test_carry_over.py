"""What a user has put on a layer: the layer in its place has it, and the merged one again."""

import copy

import pytest
import torch
from torch import nn

from ondevice_bench.errors import Refusal
from ondevice_bench.methods import LayerMethod, ReplacementLayer, treat
from tests.methods.conftest import difference, randn

FULL = {"fraction": 1.0}
METHODS = {
    "gradient_filter": {"radius": 2},
    "svd": FULL,
    "hosvd": FULL,
    "asi": FULL,
    "wsi": FULL,
    "wasi": FULL,
    "lora": {"rank": 1, "alpha": 1.0},
    "lora_fa": {"rank": 1, "alpha": 1.0},
    "wsi_svd": FULL,
}
X = randn(2, 3, 6, 6)


@pytest.fixture(params=METHODS)
def method(request):
    return request.param, METHODS[request.param]


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten()).double()


def apply(model, method):
    name, options = method
    return treat(model, name, **options)


def step(model):
    """All that hooks can see: a step, and the state saved and loaded."""
    model(X.clone().requires_grad_()).sum().backward()
    model.load_state_dict(model.state_dict())


def test_a_forward_hook_changes_the_output_before_and_after_merge(method):
    model = network()
    model[0].register_forward_pre_hook(lambda _, inputs: (3 * inputs[0],))
    model[0].register_forward_hook(lambda *seen: 2 * seen[-1])
    expected = model(X)
    treatment = apply(model, method)
    assert difference(treatment.module(X), expected) < 1e-10
    assert difference(copy.deepcopy(treatment).module(X), expected) < 1e-10
    treatment.optimizer(lr=0.1).zero_grad()
    assert difference(treatment.merge()(X), expected) < 1e-10


def with_every_hook(layer, seen):
    """Hooks of every kind; each notes its name and the class of the layer that it gets."""

    def noting(name):
        def hook(module, *_, **__):
            seen.append((name, isinstance(module, nn.Module)))

        return hook

    return [
        layer.register_forward_pre_hook(noting("forward pre")),
        layer.register_forward_pre_hook(noting("forward pre, named"), with_kwargs=True),
        layer.register_forward_hook(noting("forward")),
        layer.register_forward_hook(noting("forward, named"), with_kwargs=True),
        layer.register_forward_hook(noting("forward, always"), always_call=True),
        layer.register_full_backward_pre_hook(noting("backward pre")),
        layer.register_full_backward_hook(noting("backward")),
        layer.register_state_dict_pre_hook(noting("state_dict pre")),
        layer.register_state_dict_post_hook(noting("state_dict post")),
        layer.register_load_state_dict_pre_hook(noting("load pre")),
        layer.register_load_state_dict_post_hook(noting("load post")),
    ]


def test_hooks_of_every_kind_run_as_often_as_on_the_plain_layer(method):
    plain, model, expected, seen = network(), network(), [], []
    with_every_hook(plain[0], expected)
    with_every_hook(model[0], seen)
    step(plain)
    assert len(set(expected)) == 11
    treatment = apply(model, method)
    step(treatment.module)
    assert seen == expected
    treatment.optimizer(lr=0.1).step()
    seen.clear()
    step(treatment.merge())
    assert seen == expected


def test_a_handle_removes_its_hook_from_the_treated_and_from_the_merged_layer(method):
    model, seen = network(), []
    *handles, last, other = with_every_hook(model[0], seen)
    treatment = apply(model, method)
    for handle in handles:
        handle.remove()
    step(treatment.module)
    assert {name for name, _ in seen} == {"load pre", "load post"}
    treatment.optimizer(lr=0.1).step()
    seen.clear()
    merged = treatment.merge()
    last.remove()
    other.remove()
    step(merged)
    assert seen == []


def test_a_hook_that_comes_after_treat_is_on_the_merged_layer_too(method):
    plain, model, expected, seen = network(), network(), [], []
    treatment = apply(model, method)
    with_every_hook(plain[0], expected)
    handles = with_every_hook(treatment.module[0], seen)
    step(plain)
    step(treatment.merge())
    assert seen == expected
    for handle in handles:
        handle.remove()
    step(treatment.module)
    assert seen == expected


def test_a_load_hook_gets_the_layer_that_is_in_the_network(method):
    model, seen = network(), []
    model[0].register_load_state_dict_pre_hook(lambda module, *_: seen.append(module))
    treatment = apply(model, method)
    model.load_state_dict(model.state_dict())
    treated = model[0]
    merged = treatment.merge()
    merged.load_state_dict(merged.state_dict())
    assert seen == [treated, merged[0]]
    assert merged[0] is not treated


class Scale(nn.Module):
    def forward(self, x):
        return 100 * x


def two_convolutions(*after):
    torch.manual_seed(0)
    first, second = nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 3)
    return nn.Sequential(first, second, *after, nn.Flatten()).double()


@pytest.mark.parametrize("options", [{"epsilon": 0.9}, {"budget_mib": 0.002}])
def test_calibration_leaves_no_hook_and_sees_what_the_layer_itself_computes(options):
    batch = X, torch.tensor([0, 1])
    expected = treat(two_convolutions(Scale()), "hosvd", **options).calibrate(batch)
    model = two_convolutions()
    model[1].register_forward_hook(lambda *seen: 100 * seen[-1])
    treatment = treat(model, "hosvd", **options)
    assert treatment.calibrate(batch) == expected
    first, second, _ = treatment.merge()
    assert (len(first._forward_hooks), len(second._forward_hooks)) == (0, 1)
    assert [*first._forward_pre_hooks, *second._forward_pre_hooks] == []


class Watching(ReplacementLayer, nn.Linear):
    """A layer with a hook of its own."""

    def __init__(self):
        super().__init__(4, 4)
        self.seen = []
        self.register_forward_hook(lambda *_: self.seen.append("own"))

    def merge(self):
        return nn.Linear(4, 4)


class Watch(LayerMethod):
    def applies(self, layer):
        return None

    def replace(self, layer, choice, name):
        return Watching()

    def stored(self, layer, shape, ranks):
        return 0


def test_a_hook_of_the_method_runs_after_the_users_and_ends_with_merge():
    model = nn.Sequential(nn.Linear(4, 4))
    seen = []
    model[0].register_forward_hook(lambda *_: seen.append("theirs"))
    treatment = treat(model, f"{__name__}:Watch")
    layer = treatment.module[0]
    layer.seen = seen
    treatment.module(torch.ones(2, 4))
    assert seen == ["theirs", "own"]
    treatment.merge()(torch.ones(2, 4))
    assert seen == ["theirs", "own", "theirs"]


def test_attributes_tensors_and_modules_of_the_user_come_along_and_go_back(method):
    model = network()
    layer = model[0]
    layer.tag = 3
    layer.adapter = nn.Conv2d(3, 4, 3, bias=False, padding_mode="reflect").double()
    layer.register_buffer("calls", torch.zeros(()), persistent=False)
    layer.shift = nn.Parameter(torch.ones(4, 1, 1).double())

    def adapt(module, inputs, output):
        module.calls += 1
        return output + module.adapter(inputs[0]) + module.shift

    layer.register_forward_hook(adapt)
    expected, names = model(X), set(model.state_dict())
    treatment = apply(model, method)
    assert difference(model(X), expected) < 1e-10
    mine = {name for name, _ in model[0].named_parameters() if name in {"adapter.weight", "shift"}}
    assert mine == {"adapter.weight", "shift"}
    assert len(list(model.parameters())) == len({id(p) for p in model.parameters()})
    model[0].tag = 4
    treatment.optimizer(lr=0.1).zero_grad()
    merged = treatment.merge()
    assert difference(merged(X), expected) < 1e-10
    assert set(merged.state_dict()) == names
    assert (merged[0].tag, merged[0].calls) == (4, 3)


@pytest.mark.parametrize("name", ["svd", "wsi", "lora"])
def test_a_treated_layer_has_the_geometry_of_the_plain_one(name):
    plain, linear = network()[0], nn.Linear(3, 2)
    model = nn.Sequential(copy.deepcopy(plain), copy.deepcopy(linear))
    treat(model, name, **METHODS[name])
    for constant in nn.Conv2d.__constants__:
        assert getattr(model[0], constant) == getattr(plain, constant)
    assert (model[1].in_features, model[1].out_features) == (3, 2)


def test_an_attribute_that_the_method_has_too_is_back_after_merge(method):
    model = network()
    model[0].name = model[0].geometry = "mine"
    merged = apply(model, method).merge()
    assert (merged[0].name, merged[0].geometry) == ("mine", "mine")


@pytest.mark.parametrize(
    ("method", "taken"), [("wsi", "left"), ("lora", "base"), ("asi", "scheme")]
)
def test_a_module_whose_name_the_method_needs_is_refused(method, taken):
    model = network()
    model[0].add_module(taken, nn.ReLU())
    with pytest.raises(Refusal, match=f"^0: the method needs the name '{taken}' for itself"):
        treat(model, method, **METHODS[method])


@pytest.mark.parametrize("name", ["wsi", "wasi", "lora"])
@pytest.mark.parametrize("attribute", ["stride", "padding", "dilation", "padding_mode"])
def test_a_layer_that_does_not_follow_another_geometry_is_refused(name, attribute):
    model = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1))
    treat(model, name, **METHODS[name])
    before = getattr(model[0], attribute)
    x = torch.randn(2, 3, 8, 8)
    setattr(model[0], attribute, "circular" if attribute == "padding_mode" else (3, 3))
    for module in (model, copy.deepcopy(model).eval()):
        with pytest.raises(Refusal, match=f"^0: since treat.* has changed its {attribute},"):
            module(x)
    setattr(model[0], attribute, 1 if before == (1, 1) else before)
    model(x)
