"""EfficientNet-Lite0: inverted residuals with ReLU6 and TensorFlow's padding."""

from torch import Tensor, nn
from torch.nn import functional as F

from ondevice_bench.models.weights import initialise_convolutional

STEM, HEAD, EPS = 32, 1280, 1e-3
# (expansion, output width, repeats, stride, kernel) of each group of blocks
GROUPS = (
    (1, 16, 1, 1, 3),
    (6, 24, 2, 2, 3),
    (6, 40, 2, 2, 5),
    (6, 80, 3, 2, 3),
    (6, 112, 3, 1, 5),
    (6, 192, 4, 2, 5),
    (6, 320, 1, 1, 3),
)


def _conv(inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1) -> nn.Conv2d:
    """With stride 1 the padding is symmetric and the layer's own; else `_pad` does it."""
    padding = kernel // 2 if stride == 1 else 0
    return nn.Conv2d(inputs, outputs, kernel, stride, padding, groups=groups, bias=False)


def _pad(x: Tensor, kernel: int, stride: int) -> Tensor:
    """Pad as TensorFlow does for a stride: the odd row and column go to the far side."""
    if stride == 1:
        return x
    over = [max((-(-size // stride) - 1) * stride + kernel - size, 0) for size in x.shape[2:]]
    near = [total // 2 for total in over]
    return F.pad(x, (near[1], over[1] - near[1], near[0], over[0] - near[0]))


class Block(nn.Module):
    """1x1 expansion (none at 1), depthwise k x k, 1x1 projection; a residual if shapes agree."""

    def __init__(self, inputs: int, outputs: int, expansion: int, stride: int, kernel: int) -> None:
        super().__init__()
        width = inputs * expansion
        self.residual = stride == 1 and inputs == outputs
        self.kernel, self.stride = kernel, stride  # a method may replace the layer that has them
        self._expand_conv = _conv(inputs, width, 1) if expansion != 1 else None
        self._bn0 = nn.BatchNorm2d(width, EPS) if expansion != 1 else None
        self._depthwise_conv = _conv(width, width, kernel, stride, groups=width)
        self._bn1 = nn.BatchNorm2d(width, EPS)
        self._project_conv = _conv(width, outputs, 1)
        self._bn2 = nn.BatchNorm2d(outputs, EPS)

    def forward(self, x: Tensor) -> Tensor:
        """Map `(B, inputs, H, W)` to `(B, outputs, H / stride, W / stride)`."""
        y = x
        if self._expand_conv is not None and self._bn0 is not None:
            y = F.relu6(self._bn0(self._expand_conv(y)), inplace=True)
        y = self._depthwise_conv(_pad(y, self.kernel, self.stride))
        y = self._bn2(self._project_conv(F.relu6(self._bn1(y), inplace=True)))
        out: Tensor = x + y if self.residual else y
        return out


class EfficientNetLite0(nn.Module):
    """Stem, sixteen blocks, a 1x1 convolution, global average pooling, one linear layer."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self._conv_stem = _conv(3, STEM, 3, 2)
        self._bn0 = nn.BatchNorm2d(STEM, EPS)
        widths = [STEM, *(outputs for _, outputs, repeats, *_ in GROUPS for _ in range(repeats))]
        shapes = [
            (expansion, stride if repeat == 0 else 1, kernel)
            for expansion, _, repeats, stride, kernel in GROUPS
            for repeat in range(repeats)
        ]
        self._blocks = nn.ModuleList(
            Block(inputs, outputs, *shape)
            for inputs, outputs, shape in zip(widths[:-1], widths[1:], shapes, strict=True)
        )
        self._conv_head = _conv(widths[-1], HEAD, 1)
        self._bn1 = nn.BatchNorm2d(HEAD, EPS)
        self._dropout = nn.Dropout(0.2)
        self._fc = nn.Linear(HEAD, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Map images `(B, 3, H, W)` to logits `(B, classes)`."""
        y = F.relu6(self._bn0(self._conv_stem(_pad(x, 3, 2))), inplace=True)
        for block in self._blocks:
            y = block(y)
        y = F.relu6(self._bn1(self._conv_head(y)), inplace=True)
        logits: Tensor = self._fc(self._dropout(F.adaptive_avg_pool2d(y, 1).flatten(1)))
        return logits


def construct(classes: int, image_size: int) -> EfficientNetLite0:
    """The network with its weights unset; it takes images of any size."""
    del image_size
    return EfficientNetLite0(classes)


initialise = initialise_convolutional
