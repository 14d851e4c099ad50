"""The layers of each entry of a mix: the first entry that matches a layer has it."""

from torch import nn

from ondevice_bench.errors import Refusal
from ondevice_bench.models.layers import LayerSelection, NoSuchLayers, select_layers
from ondevice_bench.specs.layout import ModelLayout


class NoLayersOfEntry(NoSuchLayers, Refusal):
    """An entry of a mix has no layer in this network: a suite skips the cell."""


class LayersLeft:
    """The layers that methods may change (`among`), without those that an entry has taken."""

    def __init__(self, model: nn.Module, among: LayerSelection, layout: ModelLayout) -> None:
        self._model, self._layout = model, layout
        self._left = {*among.layers, *among.others}

    def take(self, layers: str) -> LayerSelection:
        """The layers of the next entry. In a mix, no choice of layers freezes the others."""
        try:
            chosen = select_layers(self._model, layers, self._layout)
        except NoSuchLayers as error:
            raise NoLayersOfEntry(str(error)) from None
        own, others = (
            tuple(name for name in names if name in self._left)
            for names in (chosen.layers, chosen.others)
        )
        if not own and not others:
            raise NoLayersOfEntry(f"layers: {layers!r} matches no layer that is left for it")
        self._left -= {*own, *others}
        return LayerSelection(own, others=others)
