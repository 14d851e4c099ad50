"""The splits of examples, the same on every machine: the place of an example decides.

Of five neighbours the first is held out for tests. The second is for validation, where a pass
validates.
"""

from typing import TYPE_CHECKING, Any, TypeAlias

import numpy

from ondevice_bench.data.batch import NoBatch
from ondevice_bench.specs.data import ALL, HELD_OUT, HELD_OUT_EVERY, LEARN, TRAIN, VALIDATION

if TYPE_CHECKING:
    Array: TypeAlias = numpy.ndarray[Any, Any]


# the places in each five neighbours
_PLACES = {HELD_OUT: (0,), VALIDATION: (1,), LEARN: (2, 3, 4), TRAIN: (1, 2, 3, 4)}


def rows(count: int, split: str) -> "Array":
    """The places of the split's examples among `count` examples."""
    places = numpy.arange(count)
    if split == ALL:
        return places
    part: Array = places[numpy.isin(places % HELD_OUT_EVERY, _PLACES[split])]
    return part


def drawn(places: "Array", size: int, generator: numpy.random.Generator, split: str) -> "Array":
    """`size` of the places in random order. None repeats before all have come.

    To learn or to test, no place repeats at all, because an example must not count twice.
    """
    if split != ALL:
        if not len(places):
            raise NoBatch(f"data: there are too few examples: none is left for the split {split!r}")
        return generator.permutation(places)[:size]
    rounds = -(-size // max(1, len(places)))
    return numpy.concatenate([generator.permutation(places) for _ in range(rounds)])[:size]


def chosen(count: int, size: int, generator: numpy.random.Generator, split: str) -> "Array":
    """Random places: with repetition for a batch, without repetition to learn or to test."""
    if split == ALL:
        return generator.integers(0, count, size)
    return drawn(rows(count, split), size, generator, split)
