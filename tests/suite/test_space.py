"""Search spaces: the words of a suite without networks."""

import pytest

from ondevice_bench.declare.folders import builtin
from ondevice_bench.errors import BadInput
from ondevice_bench.specs.layer_choice import COUNTED
from ondevice_bench.suite.cell import Train
from ondevice_bench.suite.space import load_space, training_words

SPACES = sorted(path.stem for path in builtin("suites/search").glob("*.yaml"))


@pytest.mark.parametrize("name", SPACES)
def test_our_spaces_serve_every_network_and_freeze_nothing(name, workplace):
    space = load_space(name)
    assert space.title
    assert not space.batches
    assert space.frozen_parts == ("all layers",)
    assert not any(choice.places for choice in space.methods)  # a mix needs certain layers
    assert space.methods[0].name == "vanilla"


def test_a_space_of_the_user_goes_before_ours_and_extends_it(workplace):
    folder = workplace / "suites" / "search"
    folder.mkdir(parents=True)
    (folder / "default.yaml").write_text("schema: 1\ntitle: mine\nmethods: [lean]\n")
    (folder / "adam.yaml").write_text(
        "schema: 1\ntitle: a\nextends: default\ntrain: {optimizer: adamw, lr: 0.001}\n"
    )
    assert load_space("default").title == "mine"
    space = load_space("adam")
    assert [choice.name for choice in space.methods] == ["lean"]
    assert space.trains == (Train(optimizer="adamw", lr=0.001),)


def test_lists_of_layers_and_batches_are_read_as_in_a_suite(workplace):
    (workplace / "s.yaml").write_text(
        "schema: 1\ntitle: t\nmethods: [vanilla]\nlayers: [all, last: [1, 2]]\nbatch: [4, 8]\n"
    )
    space = load_space("s.yaml")
    assert space.layers == ("all", "last:1", "last:2")
    assert len([part for part in space.frozen_parts if part.partition(":")[0] in COUNTED]) == 2
    assert space.batches == (4, 8)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("models: [mcunet]", "s.yaml:4: unknown key 'models'"),
        ("batch: 0", "s.yaml:4: batch: must be at least 1, got 0"),
        (
            "batch: 2147483648",
            "s.yaml:4: batch: must be at most 2147483647, got 2147483648",
        ),
        ("train: [{lr: 0}]", "s.yaml:4: train[0]: must be greater than 0, got 0"),
        ("train: []", "s.yaml:4: train: must not be empty"),
    ],
)
def test_a_mistake_has_its_line(workplace, text, said):
    (workplace / "s.yaml").write_text(f"schema: 1\ntitle: t\nmethods: [vanilla]\n{text}\n")
    with pytest.raises(BadInput) as caught:
        load_space("s.yaml")
    assert caught.value.lines[0].startswith(said)


def test_a_training_is_named_by_what_differs():
    usual = Train()
    assert training_words(Train(optimizer="adamw", lr=0.001, clip=None), usual) == (
        "adamw,lr=0.001,clip=null"
    )
    assert training_words(Train(lr=0.0500001234), usual) == "lr=0.0500001234"
    assert training_words(Train(freeze_bn=False, zero_grad="zero"), usual) == (
        "zero_grad=zero,freeze_bn=false"
    )
