"""Cells that another version of `bench` measured otherwise: pixels, frozen parameters, ranks."""

from dataclasses import replace

import numpy
import pytest

from ondevice_bench.data import images
from ondevice_bench.specs import registry
from ondevice_bench.specs.inputs import SYMMETRIC, Images
from ondevice_bench.suite.board import Board
from ondevice_bench.suite.from_flags import Words
from ondevice_bench.suite.plan import plan


def cells(model, data):
    return [item.cell for item in plan(Words([model], data=data).suite(), Board("x86"))]


@pytest.mark.parametrize(
    ("model", "data", "scaling"),
    [
        ("efficientnet_lite0", "photos", "mean 0.5 0.5 0.5, deviation 0.5 0.5 0.5"),
        ("efficientnet_lite0", "synthetic", ""),
        ("mcunet", "photos", ""),
        ("tinyllama", "text", ""),
    ],
)
def test_only_cells_with_other_pixels_are_another_workload(model, data, scaling):
    (cell,) = cells(model, data)
    assert cell.scaling == scaling
    assert ("scaling" in cell.to_dict()) == bool(scaling)


@pytest.mark.parametrize(
    ("model", "options", "method", "layers", "revision"),
    [
        ("pspnet", [], "vanilla", "last: 5", 1),
        ("pspnet", [], "vanilla", "last_blocks: 1", 0),
        ("pspnet", [], "bias_only", "all", 0),
        ("pspnet", ["auxiliary=true"], "vanilla", "all", 0),
        ("pspnet", ["auxiliary=true"], "bias_only", "all", 1),
        ("mcunet", [], "vanilla", "last: 5", 0),
        ("efficientnet_lite0", ["trained=0.8"], "asi", "all", 1),
        ("efficientnet_lite0", ["epsilon=0.8"], "asi", "all", 0),
        ("minilm", ["trained=0.8"], "asi", "all", 0),
    ],
)
def test_only_cells_with_other_parameters_or_ranks_are_another_workload(
    model, options, method, layers, revision
):
    suite = Words([model], methods=[method], options=options, layers=[layers]).suite()
    (item,) = plan(suite, Board("x86"))
    assert item.cell.revision == revision
    assert ("revision" in item.cell.to_dict()) == bool(revision)
    vanilla = replace(item.cell, method="vanilla", method_options=(), revision=0)
    assert vanilla.of_any_method == item.cell.of_any_method


@pytest.mark.parametrize(
    ("model", "measure", "revision"),
    [
        ("efficientnet_lite0", ("accuracy",), 1),
        ("efficientnet_lite0", ("trace", "learning"), 0),
        ("mcunet", ("accuracy",), 0),
    ],
)
def test_only_cells_with_other_masks_of_dropout_are_another_workload(model, measure, revision):
    suite = replace(Words([model], data="digits").suite(), measure=measure)
    (item,) = plan(suite, Board("x86"))
    assert item.cell.revision == revision


def test_the_pixels_are_those_of_the_weights():
    spec = registry.model("efficientnet_lite0")
    inputs = spec.inputs({"image_size": 2, "classes": 10})
    assert (inputs.mean, inputs.deviation) == SYMMETRIC
    pictures = numpy.array([0.0, 0.5, 1.0, 0.75] * 3).reshape(1, 3, 2, 2).transpose(0, 2, 3, 1)
    found = images.normalised(pictures, inputs)
    assert found[0, 0].flatten().tolist() == [-1.0, 0.0, 1.0, 0.5]
    others = images.normalised(pictures, Images(3, 2, 10))
    assert others[0, 0, 0, 0] == pytest.approx(-0.485 / 0.229)
