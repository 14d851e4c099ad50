"""MCUNet-in1: a searched network of inverted residuals for 96x96 images."""

from torch import Tensor, nn
from torch.nn import functional as F

from ondevice_bench.models.weights import initialise_convolutional

STEM = 16
# (expanded width, output width, kernel, stride) of each block
BLOCKS = (
    (16, 8, 3, 1),
    (32, 16, 3, 2),
    (48, 16, 3, 1),
    (48, 24, 7, 2),
    (120, 24, 3, 1),
    (120, 40, 3, 2),
    (160, 40, 7, 1),
    (160, 48, 5, 1),
    (144, 48, 3, 1),
    (192, 48, 3, 1),
    (240, 96, 7, 2),
    (384, 96, 5, 1),
    (384, 96, 5, 1),
    (576, 160, 3, 1),
)


class ConvUnit(nn.Sequential):
    """Convolution, batch-norm and an optional ReLU6."""

    def __init__(
        self, inputs: int, outputs: int, kernel: int, *, stride: int = 1, groups: int = 1, act: bool
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(
            inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False
        )
        self.bn = nn.BatchNorm2d(outputs)
        if act:
            self.act = nn.ReLU6(inplace=True)


class InvertedBottleneck(nn.Module):
    """1x1 expansion (none if the widths agree), depthwise k x k, 1x1 projection."""

    def __init__(self, inputs: int, width: int, outputs: int, kernel: int, stride: int) -> None:
        super().__init__()
        self.inverted_bottleneck = ConvUnit(inputs, width, 1, act=True) if width != inputs else None
        self.depth_conv = ConvUnit(width, width, kernel, stride=stride, groups=width, act=True)
        self.point_linear = ConvUnit(width, outputs, 1, act=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map `(B, inputs, H, W)` to `(B, outputs, H / stride, W / stride)`."""
        if self.inverted_bottleneck is not None:
            x = self.inverted_bottleneck(x)
        y: Tensor = self.point_linear(self.depth_conv(x))
        return y


class Block(nn.Module):
    """An inverted bottleneck, with a residual if shapes allow one."""

    def __init__(self, inputs: int, width: int, outputs: int, kernel: int, stride: int) -> None:
        super().__init__()
        self.mobile_inverted_conv = InvertedBottleneck(inputs, width, outputs, kernel, stride)
        self.residual = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        """Map `(B, inputs, H, W)` to `(B, outputs, H / stride, W / stride)`."""
        y: Tensor = self.mobile_inverted_conv(x)
        return x + y if self.residual else y


class Classifier(nn.Module):
    """The head, with its name in public checkpoints."""

    def __init__(self, width: int, classes: int) -> None:
        super().__init__()
        self.linear = nn.Linear(width, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Map `(B, width)` to `(B, classes)`."""
        y: Tensor = self.linear(x)
        return y


class MCUNet(nn.Module):
    """Stem, fourteen blocks, global average pooling, one linear layer."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.first_conv = ConvUnit(3, STEM, 3, stride=2, act=True)
        widths = [STEM, *(block[1] for block in BLOCKS)]
        self.blocks = nn.Sequential(
            *(Block(inputs, *block) for inputs, block in zip(widths[:-1], BLOCKS, strict=True))
        )
        self.classifier = Classifier(widths[-1], classes)

    def forward(self, x: Tensor) -> Tensor:
        """Map images `(B, 3, H, W)` to logits `(B, classes)`."""
        y = self.blocks(self.first_conv(x))
        logits: Tensor = self.classifier(F.adaptive_avg_pool2d(y, 1).flatten(1))
        return logits


def construct(classes: int, image_size: int) -> MCUNet:
    """The network with its weights unset; it takes images of any size."""
    del image_size
    return MCUNet(classes)


initialise = initialise_convolutional
