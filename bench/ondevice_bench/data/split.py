"""The split of examples: every fifth is held out, in the same way on every machine."""

from typing import TYPE_CHECKING, Any, TypeAlias

import numpy

from ondevice_bench.specs.data import ALL, HELD_OUT, HELD_OUT_EVERY

if TYPE_CHECKING:
    Array: TypeAlias = numpy.ndarray[Any, Any]


def rows(count: int, split: str) -> "Array":
    """The places of the split's examples among `count` examples."""
    places = numpy.arange(count)
    if split == ALL:
        return places
    part: Array = places[(places % HELD_OUT_EVERY == 0) == (split == HELD_OUT)]
    return part


def drawn(places: "Array", size: int, generator: numpy.random.Generator, split: str) -> "Array":
    """`size` of the places in random order. None repeats before all have come.

    To learn or to test, no place repeats at all, because an example must not count twice.
    """
    if split != ALL:
        return generator.permutation(places)[:size]
    rounds = -(-size // max(1, len(places)))
    return numpy.concatenate([generator.permutation(places) for _ in range(rounds)])[:size]


def chosen(count: int, size: int, generator: numpy.random.Generator, split: str) -> "Array":
    """Random places: with repetition for a batch, without repetition to learn or to test."""
    if split == ALL:
        return generator.integers(0, count, size)
    return drawn(rows(count, split), size, generator, split)
