"""MobileNetV2: inverted residuals with ReLU6."""

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional as F

from ondevice_bench.models.weights import initialise_convolutional

STEM, HEAD = 32, 1280
# (expansion, output width, repeats, stride) of each group of blocks
GROUPS = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)


def unit(
    inputs: int, outputs: int, kernel: int, *, stride: int = 1, groups: int = 1, dilation: int = 1
) -> nn.Sequential:
    """Convolution, batch-norm, ReLU6."""
    padding = (kernel - 1) // 2 * dilation
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride, padding, dilation, groups=groups, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU6(inplace=True),
    )


class InvertedResidual(nn.Module):
    """1x1 expansion (none at 1), depthwise 3x3, 1x1 projection; a residual if shapes agree."""

    def __init__(
        self, inputs: int, outputs: int, stride: int, expansion: int, dilation: int = 1
    ) -> None:
        super().__init__()
        width = inputs * expansion
        parts: list[nn.Module] = [unit(inputs, width, 1)] if expansion != 1 else []
        parts.append(unit(width, width, 3, stride=stride, groups=width, dilation=dilation))
        parts += [nn.Conv2d(width, outputs, 1, bias=False), nn.BatchNorm2d(outputs)]
        self.conv = nn.Sequential(*parts)
        self.residual = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        """Map `(B, inputs, H, W)` to `(B, outputs, H / stride, W / stride)`."""
        y: Tensor = self.conv(x)
        return x + y if self.residual else y


def blocks(
    strides: Sequence[int] | None = None, dilations: Sequence[int] | None = None
) -> list[nn.Module]:
    """Every inverted residual in order; each group with its stride and dilation."""
    stack: list[nn.Module] = []
    inputs = STEM
    for group, (expansion, outputs, repeats, stride) in enumerate(GROUPS):
        first = stride if strides is None else strides[group]
        dilation = 1 if dilations is None else dilations[group]
        for repeat in range(repeats):
            step = first if repeat == 0 else 1
            stack.append(InvertedResidual(inputs, outputs, step, expansion, dilation))
            inputs = outputs
    return stack


class MobileNetV2(nn.Module):
    """Stem, seventeen blocks, a 1x1 convolution, global average pooling, one linear layer."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.features = nn.Sequential(
            unit(3, STEM, 3, stride=2), *blocks(), unit(GROUPS[-1][1], HEAD, 1)
        )
        self.classifier = nn.Sequential(nn.Dropout(0.2), nn.Linear(HEAD, classes))

    def forward(self, x: Tensor) -> Tensor:
        """Map images `(B, 3, H, W)` to logits `(B, classes)`."""
        pooled = F.adaptive_avg_pool2d(self.features(x), 1).flatten(1)
        logits: Tensor = self.classifier(pooled)
        return logits


def construct(classes: int, image_size: int) -> MobileNetV2:
    """The network with its weights unset; it takes images of any size."""
    del image_size
    return MobileNetV2(classes)


initialise = initialise_convolutional
