"""ResNet-18 and -34: a 7x7 stem and four stages of basic blocks."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ondevice_bench.models.weights import initialise_convolutional

WIDTHS = (64, 128, 256, 512)
BLOCKS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3)}
STRIDES = (1, 2, 2, 2)


class BasicBlock(nn.Module):
    """Two 3x3 convolutions with a residual. A 1x1 convolution adapts its shape if needed."""

    def __init__(self, inputs: int, outputs: int, stride: int, dilation: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, dilation, dilation, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.downsample: nn.Sequential | None = None
        if stride != 1 or inputs != outputs:
            self.downsample = nn.Sequential(
                nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs)
            )

    def forward(self, x: Tensor) -> Tensor:
        """Map `(B, inputs, H, W)` to `(B, outputs, H / stride, W / stride)`."""
        y = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))
        beside = x if self.downsample is None else self.downsample(x)
        y += beside
        out: Tensor = self.relu(y)
        return out


def stage(inputs: int, outputs: int, blocks: int, stride: int, dilation: int = 1) -> nn.Sequential:
    """Basic blocks, the first of which changes width and size."""
    first = BasicBlock(inputs, outputs, stride, dilation)
    others = (BasicBlock(outputs, outputs, 1, dilation) for _ in range(blocks - 1))
    return nn.Sequential(first, *others)


class ResNet(nn.Module):
    """Stem, four stages, global average pooling, one linear layer."""

    def __init__(self, blocks: Sequence[int], classes: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, WIDTHS[0], 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(WIDTHS[0])
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        self.layer1 = stage(WIDTHS[0], WIDTHS[0], blocks[0], STRIDES[0])
        self.layer2 = stage(WIDTHS[0], WIDTHS[1], blocks[1], STRIDES[1])
        self.layer3 = stage(WIDTHS[1], WIDTHS[2], blocks[2], STRIDES[2])
        self.layer4 = stage(WIDTHS[2], WIDTHS[3], blocks[3], STRIDES[3])
        self.fc = nn.Linear(WIDTHS[3], classes)

    def forward(self, x: Tensor) -> Tensor:
        """Map images `(B, 3, H, W)` to logits `(B, classes)`."""
        y = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        y = self.layer4(self.layer3(self.layer2(self.layer1(y))))
        logits: Tensor = self.fc(torch.flatten(F.adaptive_avg_pool2d(y, 1), 1))
        return logits


def construct(depth: int, classes: int, image_size: int) -> ResNet:
    """The network with its weights unset; it takes images of any size."""
    del image_size
    return ResNet(BLOCKS[depth], classes)


initialise = initialise_convolutional
