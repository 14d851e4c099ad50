"""Batches from a random generator: noise, or images with a decaying spectrum."""

import numpy

from ondevice_bench.data.split import Array, Arrays, Draw
from ondevice_bench.specs.data import DataSource
from ondevice_bench.specs.inputs import Images, Inputs, LayerTensors, OwnBatch, Tokens


def synthetic(source: DataSource, inputs: Inputs, draw: Draw) -> Arrays:
    """Standard-normal images or uniform tokens, with uniform labels.

    For a single layer, its input and the factors of its output are standard-normal.
    """
    assert not isinstance(inputs, OwnBatch)
    size, generator = draw.size, draw.generator
    if isinstance(inputs, Tokens):
        return tokens(inputs, draw)
    if isinstance(inputs, LayerTensors):
        return {
            "inputs": _values(source, (size, *inputs.input), generator),
            "targets": generator.standard_normal((size, *inputs.output), dtype=numpy.float32),
        }
    shape = (size, inputs.channels, inputs.size, inputs.size)
    images = _values(source, shape, generator)
    return {"inputs": images, "targets": labels(inputs, draw)}


def _values(source: DataSource, shape: tuple[int, ...], generator: numpy.random.Generator) -> Array:
    """Standard-normal numbers, with the spectrum of the source."""
    noise = generator.standard_normal(shape, dtype=numpy.float32)
    return noise if source.decay is None else decayed(noise, source.decay, generator)


def labels(inputs: Images, draw: Draw) -> Array:
    """Uniform labels: one for each image, or one for each pixel."""
    shape = (draw.size, inputs.size, inputs.size) if inputs.dense else (draw.size,)
    return draw.generator.integers(0, inputs.classes, shape, dtype=numpy.int64)


def tokens(inputs: Tokens, draw: Draw) -> Arrays:
    """Uniform tokens. Without classes the target of each place is the next token."""
    shape = (draw.size, inputs.length + (0 if inputs.classes else 1))
    drawn = draw.generator.integers(0, inputs.vocabulary, shape, dtype=numpy.int64)
    if inputs.classes:
        targets = draw.generator.integers(0, inputs.classes, draw.size, dtype=numpy.int64)
        return {"inputs": drawn, "targets": targets}
    return {"inputs": drawn[:, :-1], "targets": drawn[:, 1:]}


def decayed(noise: Array, decay: float, generator: numpy.random.Generator) -> Array:
    """Noise with a spectrum: the singular values of every mode's unfolding fall like k^-decay.

    The k-th slice of each mode is scaled by k^-decay. Then each mode is rotated: height and width
    by a cosine basis, so that images are smooth, the others by a random basis. The result has unit
    variance.
    """
    rotated = noise.astype(numpy.float64)
    for mode, length in enumerate(noise.shape):
        scale = numpy.arange(1, length + 1, dtype=numpy.float64) ** -decay
        basis = _cosines(length) if mode >= noise.ndim - 2 else _rotation(length, generator)
        rotated = numpy.moveaxis(numpy.tensordot(basis * scale, rotated, axes=(1, mode)), 0, mode)
    scaled: Array = (rotated / rotated.std()).astype(numpy.float32)
    return scaled


def _cosines(length: int) -> Array:
    """The orthonormal cosine basis, slowest first, as columns."""
    places, waves = numpy.arange(length)[:, None], numpy.arange(length)[None]
    basis: Array = numpy.cos(numpy.pi * (places + 0.5) * waves / length) * numpy.sqrt(2 / length)
    basis[:, 0] /= numpy.sqrt(2)
    return basis


def _rotation(length: int, generator: numpy.random.Generator) -> Array:
    return numpy.linalg.qr(generator.standard_normal((length, length)))[0]
