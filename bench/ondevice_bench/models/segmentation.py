"""PSPNet, DeepLabV3, FCN and UPerNet heads on ResNet-18 and MobileNetV2 backbones."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ondevice_bench.models import mobilenet, resnet
from ondevice_bench.models.weights import initialise_convolutional

POOLS = (1, 2, 3, 6)
RATES = (1, 12, 24, 36)
DROPOUT = 0.1
AUXILIARY_WEIGHT = 0.4
AUXILIARY_STAGE = 2


class ConvUnit(nn.Module):
    """Convolution, batch-norm, ReLU."""

    def __init__(
        self, inputs: int, outputs: int, kernel: int, stride: int = 1, dilation: int = 1
    ) -> None:
        super().__init__()
        padding = kernel // 2 * dilation
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, padding, dilation, bias=False)
        self.bn = nn.BatchNorm2d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Map `(B, inputs, H, W)` to `(B, outputs, H / stride, W / stride)`."""
        return F.relu(self.bn(self.conv(x)), inplace=True)


def _resized(x: Tensor, like: Tensor) -> Tensor:
    return F.interpolate(x, size=like.shape[2:], mode="bilinear", align_corners=False)


class Backbone(nn.Module):
    """Maps images to four maps of these widths, the last of which is the deepest."""

    widths: tuple[int, ...]


class ResNetBackbone(Backbone):
    """ResNet-18 with a stem of three 3x3 convolutions. It returns the map of each stage."""

    def __init__(self, *, dense: bool) -> None:
        super().__init__()
        self.widths = resnet.WIDTHS
        inputs = resnet.WIDTHS[0]
        self.stem = nn.Sequential(
            ConvUnit(3, 32, 3, 2), ConvUnit(32, 32, 3), ConvUnit(32, inputs, 3)
        )
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        strides, dilations = ((1, 2, 1, 1), (1, 1, 2, 4)) if dense else (resnet.STRIDES, (1,) * 4)
        for index, width in enumerate(resnet.WIDTHS):
            stage = resnet.stage(
                inputs, width, resnet.BLOCKS[18][index], strides[index], dilations[index]
            )
            self.add_module(f"layer{index + 1}", stage)
            inputs = width

    def forward(self, x: Tensor) -> list[Tensor]:
        """Map images `(B, 3, H, W)` to four maps, the last of which is the deepest."""
        x = self.maxpool(self.stem(x))
        maps = []
        for index in range(4):
            x = getattr(self, f"layer{index + 1}")(x)
            maps.append(x)
        return maps


class MobileNetBackbone(Backbone):
    """MobileNetV2 up to its last block. It returns the maps of widths 24, 32, 96 and 320."""

    groups = (1, 2, 4, 6)
    widths = tuple(mobilenet.GROUPS[group][1] for group in groups)

    def __init__(self, *, dense: bool) -> None:
        super().__init__()
        shape: dict[str, Any] = (
            {"strides": (1, 2, 2, 1, 1, 1, 1), "dilations": (1, 1, 1, 2, 2, 4, 4)} if dense else {}
        )
        stem = mobilenet.unit(3, mobilenet.STEM, 3, stride=2)
        self.features = nn.Sequential(stem, *mobilenet.blocks(**shape))
        repeats = [group[2] for group in mobilenet.GROUPS]
        self._ends = tuple(sum(repeats[: group + 1]) for group in self.groups)

    def forward(self, x: Tensor) -> list[Tensor]:
        """Map images `(B, 3, H, W)` to four maps, the last of which is the deepest."""
        maps = []
        for index, block in enumerate(self.features):
            x = block(x)
            if index in self._ends:
                maps.append(x)
        return maps


BACKBONES: dict[str, Callable[..., Backbone]] = {
    "resnet18": ResNetBackbone,
    "mobilenet_v2": MobileNetBackbone,
}


class Head(nn.Module):
    """Computes a map of `width` channels by `mixed`, and from it a score for each class."""

    def __init__(self, width: int, classes: int) -> None:
        super().__init__()
        self.dropout = nn.Dropout2d(DROPOUT)
        self.conv_seg = nn.Conv2d(width, classes, 1)

    def mixed(self, maps: list[Tensor]) -> Tensor:
        """The map that is classified pixel by pixel."""
        raise NotImplementedError

    def forward(self, maps: list[Tensor]) -> Tensor:
        """Map the backbone's maps to scores `(B, classes, h, w)`."""
        scores: Tensor = self.conv_seg(self.dropout(self.mixed(maps)))
        return scores


class FCNHead(Head):
    """3x3 convolutions. If there are two, a third one runs over their result and the input."""

    def __init__(
        self, inputs: int, width: int, classes: int, *, convs: int = 2, stage: int = -1
    ) -> None:
        super().__init__(width, classes)
        self.stage = stage
        units = [ConvUnit(inputs if index == 0 else width, width, 3) for index in range(convs)]
        self.convs = nn.Sequential(*units)
        self.conv_cat = ConvUnit(inputs + width, width, 3) if convs > 1 else None

    def mixed(self, maps: list[Tensor]) -> Tensor:
        """See the class."""
        x = maps[self.stage]
        y: Tensor = self.convs(x)
        return y if self.conv_cat is None else self.conv_cat(torch.cat([x, y], 1))


class PyramidPooling(nn.Module):
    """The map, concatenated with poolings of it to several sizes, narrowed and resized."""

    def __init__(self, inputs: int, width: int) -> None:
        super().__init__()
        self.stages = nn.ModuleList(
            nn.Sequential(nn.AdaptiveAvgPool2d(size), ConvUnit(inputs, width, 1)) for size in POOLS
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map `(B, inputs, h, w)` to `(B, inputs + 4 width, h, w)`."""
        return torch.cat([x, *(_resized(stage(x), x) for stage in self.stages)], 1)


class PSPHead(Head):
    """Pyramid pooling and a 3x3 convolution."""

    def __init__(self, inputs: int, width: int, classes: int) -> None:
        super().__init__(width, classes)
        self.psp_modules = PyramidPooling(inputs, width)
        self.bottleneck = ConvUnit(inputs + len(POOLS) * width, width, 3)

    def mixed(self, maps: list[Tensor]) -> Tensor:
        """See the class."""
        y: Tensor = self.bottleneck(self.psp_modules(maps[-1]))
        return y


class ASPPHead(Head):
    """Image pooling, convolutions of several dilations side by side, a 3x3 convolution."""

    def __init__(self, inputs: int, width: int, classes: int) -> None:
        super().__init__(width, classes)
        self.image_pool = nn.Sequential(nn.AdaptiveAvgPool2d(1), ConvUnit(inputs, width, 1))
        self.aspp_modules = nn.ModuleList(
            ConvUnit(inputs, width, 1 if rate == 1 else 3, dilation=rate) for rate in RATES
        )
        self.bottleneck = ConvUnit((1 + len(RATES)) * width, width, 3)

    def mixed(self, maps: list[Tensor]) -> Tensor:
        """See the class."""
        x = maps[-1]
        beside = [_resized(self.image_pool(x), x), *(module(x) for module in self.aspp_modules)]
        y: Tensor = self.bottleneck(torch.cat(beside, 1))
        return y


class UPerHead(Head):
    """Pyramid pooling on the deepest map, a top-down sum, a 3x3 convolution over all maps."""

    def __init__(self, inputs: tuple[int, ...], width: int, classes: int) -> None:
        super().__init__(width, classes)
        self.psp_modules = PyramidPooling(inputs[-1], width)
        self.bottleneck = ConvUnit(inputs[-1] + len(POOLS) * width, width, 3)
        self.lateral_convs = nn.ModuleList(ConvUnit(wide, width, 1) for wide in inputs[:-1])
        self.fpn_convs = nn.ModuleList(ConvUnit(width, width, 3) for _ in inputs[:-1])
        self.fpn_bottleneck = ConvUnit(len(inputs) * width, width, 3)

    def mixed(self, maps: list[Tensor]) -> Tensor:
        """See the class."""
        levels = [conv(x) for conv, x in zip(self.lateral_convs, maps[:-1], strict=True)]
        levels.append(self.bottleneck(self.psp_modules(maps[-1])))
        for upper in range(len(levels) - 1, 0, -1):
            levels[upper - 1] = levels[upper - 1] + _resized(levels[upper], levels[upper - 1])
        smooth = [conv(x) for conv, x in zip(self.fpn_convs, levels[:-1], strict=True)]
        largest = smooth[0]
        resized = [_resized(x, largest) for x in [*smooth[1:], levels[-1]]]
        y: Tensor = self.fpn_bottleneck(torch.cat([largest, *resized], 1))
        return y


HEADS: dict[str, Callable[[int, int, int], Head]] = {
    "pspnet": PSPHead,
    "deeplabv3": ASPPHead,
    "fcn": FCNHead,
}
WIDTHS = {"resnet18": 128, "mobilenet_v2": 512}
UPERNET_WIDTH = 512
AUXILIARY_WIDTHS = {"resnet18": 64, "mobilenet_v2": 256}


class Segmenter(nn.Module):
    """Backbone and head; in training also the auxiliary head, if there is one."""

    def __init__(
        self, head: str, backbone: str, classes: int, *, auxiliary: bool, width: int | None = None
    ) -> None:
        super().__init__()
        self.backbone = BACKBONES[backbone](dense=head != "upernet")
        widths = self.backbone.widths
        self.auxiliary_head = (
            FCNHead(
                widths[AUXILIARY_STAGE],
                AUXILIARY_WIDTHS[backbone],
                classes,
                convs=1,
                stage=AUXILIARY_STAGE,
            )
            if auxiliary
            else None
        )
        self.decode_head = (
            UPerHead(widths, width or UPERNET_WIDTH, classes)
            if head == "upernet"
            else HEADS[head](widths[-1], width or WIDTHS[backbone], classes)
        )

    def forward(self, images: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        """Map images `(B, 3, H, W)` to scores `(B, classes, H, W)`."""
        maps = self.backbone(images)
        scores = _resized(self.decode_head(maps), images)
        if self.auxiliary_head is None or not self.training:
            return scores
        return scores, _resized(self.auxiliary_head(maps), images)


def loss(model: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
    """Mean cross-entropy over pixels, plus 0.4 of the auxiliary head's."""
    images, labels = batch
    scores = model(images)
    if isinstance(scores, Tensor):
        return F.cross_entropy(scores, labels)
    main, auxiliary = (F.cross_entropy(each, labels) for each in scores)
    return main + AUXILIARY_WEIGHT * auxiliary


def construct(
    head: str,
    backbone: str,
    classes: int,
    image_size: int,
    auxiliary: bool,
    width: int | None = None,
) -> Segmenter:
    """The network with its weights unset; it takes images of any size."""
    del image_size
    return Segmenter(head, backbone, classes, auxiliary=auxiliary, width=width)


initialise = initialise_convolutional
