"""Which examples train and which are held out: every fifth, alike on every machine."""

from typing import TYPE_CHECKING, Any, TypeAlias

import numpy

from ondevice_bench.specs.data import ALL, HELD_OUT

if TYPE_CHECKING:
    Array: TypeAlias = numpy.ndarray[Any, Any]

EVERY = 5


def rows(count: int, split: str) -> "Array":
    """The places of that part among so many examples."""
    places = numpy.arange(count)
    if split == ALL:
        return places
    part: Array = places[(places % EVERY == 0) == (split == HELD_OUT)]
    return part


def drawn(places: "Array", size: int, generator: numpy.random.Generator, split: str) -> "Array":
    """So many of the places in random order, none twice before each came once.

    Of a part to learn or to test no more than there are: an example that stands there twice would
    count twice.
    """
    if split != ALL:
        return generator.permutation(places)[:size]
    rounds = -(-size // max(1, len(places)))
    return numpy.concatenate([generator.permutation(places) for _ in range(rounds)])[:size]


def chosen(count: int, size: int, generator: numpy.random.Generator, split: str) -> "Array":
    """Random places: of a batch with repetition, of a part to learn or to test without."""
    if split == ALL:
        return generator.integers(0, count, size)
    return drawn(rows(count, split), size, generator, split)
