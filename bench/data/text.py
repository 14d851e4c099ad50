"""Bytes of a small English text that this project wrote: one token a byte."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy

from bench.specs.data import DataSource
from bench.specs.inputs import Inputs, Tokens

if TYPE_CHECKING:
    Array: TypeAlias = numpy.ndarray[Any, Any]

CORPUS = Path(__file__).with_name("corpus.txt")


def text(
    source: DataSource, inputs: Inputs, size: int, generator: numpy.random.Generator
) -> "dict[str, Array]":
    """Windows of the text; a class is the part of the text in which a window begins."""
    assert isinstance(inputs, Tokens)
    corpus = numpy.frombuffer(CORPUS.read_bytes(), dtype=numpy.uint8).astype(numpy.int64)
    starts = generator.integers(0, len(corpus) - inputs.length, size)
    windows = corpus[starts[:, None] + numpy.arange(inputs.length + 1)]
    if inputs.classes:
        targets = starts * inputs.classes // len(corpus)
        return {"inputs": windows[:, :-1], "targets": targets}
    return {"inputs": windows[:, :-1], "targets": windows[:, 1:]}
