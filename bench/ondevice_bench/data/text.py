"""Bytes of a small English text: one token for each byte.

`corpus.txt` holds the first two chapters of *Alice's Adventures in Wonderland* by Lewis Carroll.
The book appeared in 1865 and is in the public domain. The copy comes from `alice29.txt` of the
Canterbury corpus. Indentation and rows of stars were removed.
"""

from pathlib import Path

import numpy

from ondevice_bench.data.batch import NoBatch
from ondevice_bench.data.split import Array, Arrays, Draw
from ondevice_bench.specs.data import ALL, DataSource
from ondevice_bench.specs.inputs import Inputs, Tokens

STRETCHES = 50  # parts of the text; each is in one split as a whole
CORPUS = Path(__file__).with_name("corpus.txt")


def text(source: DataSource, inputs: Inputs, draw: Draw) -> Arrays:
    """Windows of the text. The class of a window is the part of the text in which it begins."""
    assert isinstance(inputs, Tokens)
    corpus = numpy.frombuffer(CORPUS.read_bytes(), dtype=numpy.uint8).astype(numpy.int64)
    if draw.split == ALL:
        starts = draw.chosen(len(corpus) - inputs.length)
    else:
        starts = draw.shuffled_of(_starts(len(corpus), inputs.length, draw))
    windows = corpus[starts[:, None] + numpy.arange(inputs.length + 1)]
    if inputs.classes:
        targets = starts * inputs.classes // len(corpus)
        return {"inputs": windows[:, :-1], "targets": targets}
    return {"inputs": windows[:, :-1], "targets": windows[:, 1:]}


def _starts(count: int, length: int, draw: Draw) -> Array:
    """The places where a window can begin and lie completely in one stretch of the split."""
    begins = numpy.arange(count - length)
    first, last = (places * STRETCHES // count for places in (begins, begins + length))
    starts: Array = begins[(first == last) & numpy.isin(first, draw.rows(STRETCHES))]
    if not len(starts):
        raise NoBatch(f"text: its parts are too short for windows of {length} bytes")
    return starts
