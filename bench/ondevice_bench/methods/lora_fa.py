"""LoRA-FA: LoRA with A frozen. It keeps `A X`, where LoRA keeps X, too."""

from dataclasses import replace

from torch import nn

from ondevice_bench.methods.layer_flops import LayerFlops, Sizes
from ondevice_bench.methods.lora import Lora, LoraLayer, thin_elements
from ondevice_bench.methods.method import ReplacementLayer
from ondevice_bench.methods.ranks import RankChoice, Ranks


class LoraFa(Lora):
    """Low-rank adaptation of which only B trains."""

    def replace(self, layer: nn.Module, choice: RankChoice, name: str) -> ReplacementLayer:
        """The frozen layer with a product, of which only the second matrix trains."""
        stream = choice.stream("lora")
        return LoraLayer(layer, self.rank, self.alpha, stream, trains_down=False)

    def stored(self, layer: nn.Module, shape: tuple[int, ...], ranks: tuple[int, ...]) -> int:
        """`A X` for `dB`."""
        return thin_elements(layer, shape, self.rank)

    def flops(self, layer: nn.Module, shape: tuple[int, ...], ranks: Ranks) -> LayerFlops:
        """As LoRA, without `dA`: `dB` and the gradient through B are left."""
        flops = super().flops(layer, shape, ranks)
        thin = thin_elements(layer, shape, self.rank)
        return replace(flops, weight_gradient=2 * 2 * thin * Sizes.from_layer(layer, shape).outputs)
