"""The 1797 handwritten digits that scikit-learn carries, for accuracy."""

from typing import TYPE_CHECKING, Any, TypeAlias

import numpy

from ondevice_bench.data.split import drawn, rows
from ondevice_bench.specs.data import ALL, DataSource
from ondevice_bench.specs.inputs import Images, Inputs

if TYPE_CHECKING:
    Array: TypeAlias = numpy.ndarray[Any, Any]

BRIGHTEST = 16


def digits(
    source: DataSource,
    inputs: Inputs,
    size: int,
    generator: numpy.random.Generator,
    split: str = ALL,
) -> "dict[str, Array]":
    """Digits of 8x8 places, enlarged, in -1 … 1; none twice before each came once."""
    from PIL import Image
    from sklearn.datasets import load_digits

    assert isinstance(inputs, Images)
    known = load_digits()
    order = drawn(rows(len(known.images), split), size, generator, split)
    square = (inputs.size, inputs.size)
    enlarged = [
        numpy.asarray(Image.fromarray(known.images[index].astype(numpy.float32)).resize(square))
        for index in order
    ]
    centred = numpy.stack(enlarged)[:, None] / BRIGHTEST * 2 - 1
    return {
        "inputs": numpy.repeat(centred, inputs.channels, axis=1).astype(numpy.float32),
        "targets": known.target[order].astype(numpy.int64),
    }
