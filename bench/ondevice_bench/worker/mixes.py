"""The entries of mixes that find no layer in a network."""

from collections.abc import Mapping, Sequence
from typing import Any

from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode

from ondevice_bench.models.families import family
from ondevice_bench.models.family import seeded
from ondevice_bench.models.layers import complete_layout, select_layers
from ondevice_bench.models.mixed_layers import LayersLeft, NoLayersOfEntry
from ondevice_bench.specs.layout import ModelLayout


def unmatched(request: Mapping[str, Any]) -> dict[str, Any]:
    """For each mix, the reason for each entry without layers, by the entry's place."""
    network = family(request["model"])
    try:
        with FakeTensorMode(allow_non_fake_inputs=True):  # weights without bytes
            model = seeded(network.construct, request["options"], 0)
    except Exception:  # the user's code may work on real tensors alone
        model = seeded(network.construct, request["options"], 0)
    given = request["layout"]
    layout = complete_layout(model, ModelLayout(**given) if given else network.layout)
    return {"reasons": [_reasons(model, layout, choices) for choices in request["mixes"]]}


def _reasons(model: nn.Module, layout: ModelLayout, choices: Sequence[str]) -> dict[str, str]:
    left = LayersLeft(model, select_layers(model, "all", layout), layout)
    reasons: dict[str, str] = {}
    for place, layers in enumerate(choices):
        try:
            left.take(layers)
        except NoLayersOfEntry as error:
            reasons[str(place)] = str(error).removeprefix("layers: ")
    return reasons
