"""The 1797 handwritten digits of scikit-learn, for accuracy."""

import numpy

from ondevice_bench.data.split import Arrays, Draw
from ondevice_bench.specs.data import DataSource
from ondevice_bench.specs.inputs import Images, Inputs

BRIGHTEST = 16


def digits(source: DataSource, inputs: Inputs, draw: Draw) -> Arrays:
    """Digits of 8x8 pixels, enlarged, in -1 … 1. None repeats before all have come."""
    from PIL import Image
    from sklearn.datasets import load_digits

    assert isinstance(inputs, Images)
    dataset = load_digits()
    order = draw.shuffled(len(dataset.images))
    square = (inputs.size, inputs.size)
    enlarged = [
        numpy.asarray(Image.fromarray(dataset.images[index].astype(numpy.float32)).resize(square))
        for index in order
    ]
    centred = numpy.stack(enlarged)[:, None] / BRIGHTEST * 2 - 1
    return {
        "inputs": numpy.repeat(centred, inputs.channels, axis=1).astype(numpy.float32),
        "targets": dataset.target[order].astype(numpy.int64),
    }
