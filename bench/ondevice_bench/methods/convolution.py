"""The geometry of a 2-D convolution, and its exact gradients for any stored input."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.grad import conv2d_input, conv2d_weight

from ondevice_bench.errors import Refusal

Size2d = tuple[int, int]
_PLACES = ("stride", "padding", "dilation", "padding_mode")


@dataclass(frozen=True)
class Geometry:
    """Kernel, stride, padding (low and high side of rows and columns), dilation and groups."""

    kernel: Size2d
    stride: Size2d
    low: Size2d
    high: Size2d
    dilation: Size2d
    groups: int

    @staticmethod
    def from_layer(layer: nn.Conv2d) -> "Geometry":
        """The geometry of a layer, with its padding as numbers."""
        kernel, stride, dilation = (
            _size2d(value) for value in (layer.kernel_size, layer.stride, layer.dilation)
        )
        if layer.padding == "valid":
            low = high = (0, 0)
        elif layer.padding == "same":
            total = tuple(d * (k - 1) for d, k in zip(dilation, kernel, strict=True))
            low = _size2d([t // 2 for t in total])
            high = _size2d([t - t // 2 for t in total])
        else:
            assert not isinstance(layer.padding, str)
            low = high = _size2d(layer.padding)
        return Geometry(kernel, stride, low, high, dilation, layer.groups)

    @property
    def is_pointwise(self) -> bool:
        """Whether the kernel is 1x1 and there is no padding."""
        return self.kernel == (1, 1) and self.low == self.high == (0, 0)

    def output(self, size: Size2d) -> Size2d:
        """Height and width of the output for an input of this size."""
        spans = zip(size, self.low, self.high, self.dilation, self.kernel, self.stride, strict=True)
        return _size2d([(n + a + b - d * (k - 1) - 1) // s + 1 for n, a, b, d, k, s in spans])

    def _padded(self, x: Tensor) -> Tensor:
        if self.low == self.high:
            return x
        return F.pad(x, (self.low[1], self.high[1], self.low[0], self.high[0]))

    def weight_gradient(self, x: Tensor, dy: Tensor, weight: tuple[int, ...]) -> Tensor:
        """`dW` of the convolution with input `x`; `weight` is its shape."""
        padding = self.low if self.low == self.high else (0, 0)
        dw: Tensor = conv2d_weight(
            self._padded(x), weight, dy, self.stride, padding, self.dilation, self.groups
        )
        return dw

    def input_gradient(self, shape: tuple[int, ...], weight: Tensor, dy: Tensor) -> Tensor:
        """`dX` for an input of this shape."""
        (top, left), (bottom, right) = self.low, self.high
        batch, channels, height, width = shape
        if self.is_pointwise and self.stride == (1, 1) and self.groups == 1:
            # one product for each example, which is faster than torch's own function
            back = weight.view(len(weight), channels).T.expand(batch, -1, -1)
            return torch.bmm(back, dy.reshape(batch, len(weight), height * width)).view(shape)
        if self.low == self.high:
            padding, size = self.low, shape
        else:
            padding, size = (0, 0), (batch, channels, height + top + bottom, width + left + right)
        dx: Tensor = conv2d_input(
            size, weight, dy, self.stride, padding, self.dilation, self.groups
        )
        if size == shape:
            return dx
        return dx[:, :, top : top + height, left : left + width].contiguous()


def require_geometry(layer: nn.Module, expected: Mapping[str, Any], name: str) -> None:
    """A Refusal if a layer that replaces a convolution has other attributes than these.

    The attributes of the convolution have been carried over to it. It does not compute by them.
    """
    for each in _PLACES:
        if _pair(getattr(layer, each, expected[each])) != _pair(expected[each]):
            raise Refusal(
                f"{name}: since treat(), other code has changed its {each}, which the method does "
                "not follow: change it before treat()"
            )


def _pair(value: Any) -> Any:
    """A number stands for two equal ones."""
    return (value, value) if isinstance(value, int) else tuple(value)


def _size2d(values: Iterable[int]) -> Size2d:
    first, second = values
    return first, second
