"""Every family at a size that a test can train, through the suite's own workload."""

from pathlib import Path

import pytest

from ondevice_bench.data.batch import BatchStore
from ondevice_bench.running.hosts.local import local_host
from ondevice_bench.running.queries.jobs import JobMaker
from ondevice_bench.specs import registry
from ondevice_bench.specs.data import DataSource
from ondevice_bench.specs.weights import WeightSource
from ondevice_bench.suite.cell import Cell
from ondevice_bench.suite.suite import Sampling

IMAGES = {"classes": 10, "image_size": 64}
SMALL = {
    "mcunet": IMAGES,
    "mobilenet_v2": IMAGES,
    "efficientnet_lite0": IMAGES,
    "resnet18": IMAGES,
    "resnet34": IMAGES,
    "vit_b_32": {**IMAGES, "depth": 1},
    "swin_t": IMAGES,
    "tinyllama": {"layers": 2, "length": 8},
    "minilm": {"layers": 2, "length": 8},
    "pspnet": {**IMAGES, "classes": 5, "auxiliary": True},
    "deeplabv3": {**IMAGES, "classes": 5, "backbone": "mobilenet_v2"},
    "fcn": {**IMAGES, "classes": 5},
    "upernet": {**IMAGES, "classes": 5, "backbone": "mobilenet_v2"},
}


@pytest.fixture(autouse=True)
def narrow(request):
    """Networks that a test can train in a moment, unless it is about their published size."""
    if "full_size" not in request.keywords:
        request.getfixturevalue("narrow_networks")


@pytest.fixture
def make_job(tmp_path: Path):
    """The job of a pass over a cell of a model, at its small size unless said otherwise."""

    def make(pass_name, model, *, data="synthetic", weights=None, named="random", **what):
        maker = JobMaker(
            local_host(),
            BatchStore(tmp_path / "batches"),
            Sampling(),
            DataSource(data),
            {"random": WeightSource(), **(weights or {})},
        )
        options = what.pop("model_options", None)
        options = tuple(SMALL[model].items()) if options is None else tuple(options.items())
        cell = Cell(
            id="cell",
            model=model,
            model_options=options,
            weights=named,
            **{"method": "vanilla", "batch": 2, **what},
        )
        return maker.job(cell, pass_name)

    return make


def options_of(model, **more):
    """All options of a small model, as `construct` takes them."""
    spec = registry.model(model)
    defaults = {option.name: option.default for option in spec.options}
    return {**(spec.fixed or {}), **defaults, **SMALL[model], **more}
