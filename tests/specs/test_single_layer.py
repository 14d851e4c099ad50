"""Single layers by their description: one spelling each, and what is wrong in one line."""

import pytest

from ondevice_bench.errors import BadInput
from ondevice_bench.specs import registry, single_layer
from ondevice_bench.specs.inputs import LayerTensors, from_dict, to_dict

CONV = "must be `conv2d(in_channels, out_channels, kernel_size) at HEIGHTxWIDTH`, for example `conv2d(128, 128, 3, padding=1) at 120x160`"
LINEAR = (
    "must be `linear(in_features, out_features) at TOKENS`, for example `linear(768, 3072) at 197`"
)


@pytest.mark.parametrize(
    ("text", "name", "tensors"),
    [
        (
            "conv2d( 128,128 , 3,padding=1 )  at 120x160",
            "conv2d(128, 128, 3, padding=1) at 120x160",
            LayerTensors((128, 120, 160), (128, 120, 160)),
        ),
        (
            "conv2d(8, 6, 3, bias=False, groups=2, stride=2, padding=0) at 9x7",
            "conv2d(8, 6, 3, stride=2, groups=2, bias=false) at 9x7",
            LayerTensors((8, 9, 7), (6, 4, 3)),
        ),
        (
            "linear(768, 3072, bias=true) at 197",
            "linear(768, 3072) at 197",
            LayerTensors((197, 768), (197, 3072)),
        ),
    ],
)
def test_a_description_has_one_spelling_and_gives_the_shapes(text, name, tensors):
    spec = registry.model(text)
    assert spec.name == registry.model(spec.name).name == name
    assert spec.inputs({}) == from_dict(to_dict(tensors)) == tensors
    assert registry.is_single_layer(text)


def test_names_of_other_models_are_no_descriptions():
    names = ("mcunet", "linears", "./my(1).py:net", "torchvision:resnet18")
    assert not any(map(registry.is_single_layer, names))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("conv2d(8, 8) at 4x4", f"conv2d needs 3 numbers (in_channels, out_channels, kernel_size), and takes more by name: {CONV}"),
        ("conv2d(8, 8, 3, 1) at 4x4", f"conv2d needs 3 numbers (in_channels, out_channels, kernel_size), and takes more by name: {CONV}"),
        ("conv2d(8, padding=1, 8, 3) at 4x4", f"conv2d needs 3 numbers (in_channels, out_channels, kernel_size), and takes more by name: {CONV}"),
        ("conv2d(8, 8, 3)", CONV),
        ("conv2d at 4x4", CONV),
        ("conv2d(8, 8, 3) at 4", f"the places must be HEIGHTxWIDTH, got '4': {CONV}"),
        ("conv2d(8, 8, 3) at 0x4", f"size must be an integer in [1, 65536], got 0: {CONV}"),
        ("conv2d(8, 8, three) at 4x4", f"kernel_size must be an integer in [1, 65536], got 'three': {CONV}"),
        ("conv2d(8, 8, 3, pading=1) at 4x4", f"unknown option 'pading'; did you mean 'padding'? (allowed: stride, padding, dilation, groups, bias): {CONV}"),
        ("conv2d(8, 8, 3, padding=same) at 4x4", f"padding must be an integer in [0, 65536], got 'same': {CONV}"),
        ("conv2d(8, 8, 3, stride=1, stride=2) at 4x4", f"stride is given twice: {CONV}"),
        ("conv2d(8, 6, 3, groups=4) at 4x4", "groups must divide both numbers of channels, got 4 for 8 and 6"),
        ("conv2d(8, 8, 3, dilation=3) at 9x4", "the kernel covers 7 places, more than the 4 of the input with its padding"),
        ("linear(8) at 4", f"linear needs 2 numbers (in_features, out_features), and takes more by name: {LINEAR}"),
        ("linear(8, 8, bias=maybe) at 4", f"bias must be true or false, got 'maybe': {LINEAR}"),
        ("conv3d(8, 8, 3) at 4x4", f"a layer is `{single_layer.FORMS}`, for example `conv2d(128, 128, 3, padding=1) at 120x160` or `linear(768, 3072) at 197`"),
    ],
)  # fmt: skip
def test_a_wrong_description_is_one_line_with_an_example(text, says):
    with pytest.raises(BadInput) as caught:
        registry.model(text)
    assert caught.value.lines == (f"{text!r}: {says}",)
