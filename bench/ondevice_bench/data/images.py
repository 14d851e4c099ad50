"""Images as inputs of networks: resized, scaled, channels first."""

from typing import TYPE_CHECKING, TypeAlias

import numpy

from ondevice_bench.data.split import Array, Arrays
from ondevice_bench.specs.inputs import Images

if TYPE_CHECKING:
    from PIL.Image import Image

Box: TypeAlias = tuple[float, float, float, float]


class UnknownWhite(ValueError):
    """The file does not say which number is white."""


def picture(image: "Image", size: int, box: Box | None = None) -> Array:
    """A part of an image as `(size, size, 3)` in 0 … 1, smoothed if it shrinks."""
    from PIL.Image import Resampling

    resized = _of_bytes(image).convert("RGB").resize((size, size), Resampling.BICUBIC, box=box)
    return numpy.asarray(resized, dtype=numpy.float32) / 255


def _of_bytes(image: "Image") -> "Image":
    """The image with 8 bits a channel: Pillow itself cuts off what is above 255."""
    from PIL.Image import fromarray

    if image.mode.startswith("I;16"):
        return fromarray((numpy.asarray(image) / 257).round().astype(numpy.uint8))
    if image.mode in {"I", "F"}:
        raise UnknownWhite(f"its pixels are numbers of the kind {image.mode}: save 8 or 16 bits")
    return image


def from_array(array: Array, size: int) -> Array:
    """`(H, W, 3)` or `(H, W)` bytes as `(size, size, 3)` in 0 … 1."""
    if array.shape[:2] == (size, size) and array.ndim == 3:
        scaled: Array = array.astype(numpy.float32) / 255
        return scaled
    from PIL import Image

    return picture(Image.fromarray(array), size)


def normalised(pictures: Array, inputs: Images) -> Array:
    """`(B, size, size, 3)` in 0 … 1 as `(B, channels, size, size)` around zero."""
    scaled = (pictures - numpy.array(inputs.mean)) / numpy.array(inputs.deviation)
    if inputs.channels != scaled.shape[-1]:
        scaled = numpy.repeat(scaled.mean(-1, keepdims=True), inputs.channels, axis=-1)
    ready: Array = scaled.transpose(0, 3, 1, 2).astype(numpy.float32)
    return ready


def labelled(squares: Array, labels: Array, inputs: Images) -> Arrays:
    """A batch of square images of bytes, with a label for each."""
    pictures = numpy.stack([from_array(square, inputs.size) for square in squares])
    return {
        "inputs": normalised(pictures, inputs),
        "targets": labels.astype(numpy.int64),
    }
