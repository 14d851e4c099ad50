"""The base classes of methods: what they promise, and how a class that breaks it is refused."""

import re
import subprocess
import sys

import pytest
import torch
from torch import nn

from ondevice_bench.errors import BadInput
from ondevice_bench.methods import LayerMethod, Method, ReplacementLayer, treat
from ondevice_bench.methods.make_method import make_method
from ondevice_bench.methods.scheme import Scheme
from ondevice_bench.running.hosts.fake import FakeHost
from ondevice_bench.running.hosts.local import local_host
from ondevice_bench.running.queries import conformance
from ondevice_bench.specs.rank_rules import ACTIVATION

NO_METHOD = (
    "is not a training method: derive it from Method, or from LayerMethod if it replaces layers; both "
    "are in ondevice_bench.methods"
)
BOTH = "ranks for activations need both, 'activation' in `ranked` and a scheme as `reference`"


class NewWeight(ReplacementLayer, nn.Linear):
    """A layer with a weight of its own."""


class SameWeight(ReplacementLayer, nn.Linear):
    def __init__(self, plain):
        super().__init__(plain.in_features, plain.out_features, device="meta")
        self.weight, self.bias = plain.weight, plain.bias


class Replacing(LayerMethod):
    """What its author did not think of: that a weight may be shared."""

    def applies(self, layer):
        return None if type(layer) is nn.Linear else "is no Linear"

    def replace(self, layer, choice, name):
        return NewWeight(layer.in_features, layer.out_features)

    def stored(self, layer, shape, ranks):
        return torch.Size(shape).numel()


class Keeping(Replacing):
    keeps_weight = True

    def replace(self, layer, choice, name):
        return SameWeight(layer)


class Lying(Replacing):
    keeps_weight = True


class Freezing(Keeping):
    def replace(self, layer, choice, name):
        layer.weight.requires_grad_(False)
        return SameWeight(layer)


class ReturningPlain(Replacing):
    def replace(self, layer, choice, name):
        return layer


class Unfinished(LayerMethod):
    def applies(self, layer):
        return None


class Unbased:
    def applies(self, layer): ...
    def replace(self, layer, choice, name): ...
    def stored(self, layer, shape, ranks): ...


class Optional(Method):
    def __init__(self, *, size, share=0.5):
        self.size = size


class NoReference(Replacing):
    ranked = frozenset({ACTIVATION})


class NoRanks(Replacing):
    reference = Scheme


class OddRanks(Replacing):
    ranked = frozenset({"gradient"})


def named(kind):
    return f"{__name__}:{kind.__name__}"


def tied():
    model = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 4))
    model[2].weight = model[0].weight
    return model


def test_a_method_that_says_nothing_of_weights_never_unties_two_layers():
    model = tied()
    treatment = treat(model, named(Replacing))
    assert model[2].weight is model[0].weight
    assert treatment.refusals == {
        "0": "shares its weight with 2.weight",
        "2": "shares its weight with 0.weight",
    }
    assert type(model[1]) is NewWeight


def test_a_method_that_keeps_the_weight_replaces_layers_that_share_one():
    model = tied()
    treatment = treat(model, named(Keeping))
    assert treatment.refusals == {}
    assert {type(layer) for layer in model} == {SameWeight}
    assert model[2].weight is model[0].weight


@pytest.mark.parametrize("kind", [Lying, Freezing])
def test_a_false_promise_about_the_weight_is_refused(kind):
    says = f"^0: {kind.__name__} says keeps_weight, but its layer does not train the weight"
    with pytest.raises(ValueError, match=says):
        treat(tied(), named(kind))


def test_a_frozen_layer_may_keep_its_weight_too():
    model = tied().requires_grad_(False)
    treat(model, named(Keeping))
    assert model[2].weight is model[0].weight


@pytest.mark.parametrize(
    ("kind", "says"),
    [
        (Unbased, f"Unbased {NO_METHOD}"),
        (Unfinished, "Unfinished must define replace(), stored()"),
        (Optional, "Optional: missing a required argument: 'size'"),
        (NoReference, f"NoReference: {BOTH}"),
        (NoRanks, f"NoRanks: {BOTH}"),
        (OddRanks, "OddRanks: `ranked` may hold activation and weight"),
    ],
)
def test_a_class_that_is_no_whole_method_is_refused_in_one_line(kind, says):
    with pytest.raises(ValueError) as caught:
        treat(nn.Linear(4, 4), named(kind))
    assert str(caught.value) == says


def test_a_layer_that_is_no_replacement_layer_is_refused():
    says = r"^the layer: ReturningPlain.replace\(\) must return a ReplacementLayer, not a Linear$"
    with pytest.raises(ValueError, match=says):
        treat(nn.Linear(4, 4), named(ReturningPlain))


def test_an_unknown_option_of_a_class_comes_with_the_nearest():
    with pytest.raises(ValueError) as caught:
        make_method(named(Optional), {"size": 1, "shore": 2})
    assert str(caught.value) == (
        "Optional: unknown option 'shore'; did you mean 'share'? (allowed: size, share)"
    )


def test_a_method_that_overrides_nothing_is_plain_training():
    torch.manual_seed(0)
    x = torch.randn(3, 4, requires_grad=True)
    layer = nn.Linear(4, 4)
    exact = layer(x)
    treatment = treat(layer, "ondevice_bench.methods:Method")
    assert (treatment.slices, treatment.module) == (1, layer)
    assert torch.equal(treatment.module(x), exact)
    assert list(treatment.packed_tensors()) == list(treatment.state()) == []
    assert treatment.merge() is layer


@pytest.mark.usefixtures("forked")
def test_check_method_refuses_a_class_without_a_base_in_one_line(tmp_path):
    file = tmp_path / "old.py"
    file.write_text("class Old:\n    def applies(self, layer): ...\n")
    why = "Old is not a training method: derive it from"
    with local_host() as host, pytest.raises(BadInput, match=why) as caught:
        conformance.check(host, f"{file}:Old", [])
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["rank=0"], "asi: rank must be an integer of at least 1, or one for each mode such as"),
        (["sequential=true"], "asi: needs one of rank, epsilon"),
        (["rank=4", "rank=8"], "--option rank: is given twice, and the checks take one value"),
    ],
)
def test_check_method_checks_options_before_it_starts_a_process(options, says):
    host = FakeHost()
    with pytest.raises(BadInput, match=f"^{says}"):
        conformance.check(host, "asi", options)
    assert host.questions == []


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("topk.py", "unknown method 'topk.py'; a class in a file is ./topk.py:Class"),
        ("./topk.py", "a class in a file is ./topk.py:Class (classes there: Scheme, TopK)"),
        ("./topk.py:Topk", "./topk.py: has no 'Topk' (classes there: Scheme, TopK)"),
        ("./empty.py:TopK", "./empty.py: has no 'TopK' (classes there: none)"),
        ("./none.py:TopK", "./none.py: cannot be read: No such file or directory"),
    ],
)
def test_check_method_lists_the_classes_of_a_file_without_running_it(
    tmp_path, monkeypatch, name, says
):
    (tmp_path / "topk.py").write_text("1 / 0\nclass Scheme: ...\nclass TopK: ...\n")
    (tmp_path / "empty.py").write_text("")
    monkeypatch.chdir(tmp_path)
    host = FakeHost()
    with pytest.raises(BadInput, match=re.escape(says)):
        conformance.check(host, name, [])
    assert host.questions == []


def test_a_refusal_can_be_named_without_torch():
    script = (
        "import sys; from ondevice_bench.methods import Refusal; "
        "assert issubclass(Refusal, ValueError); print('torch' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout == "False\n"
