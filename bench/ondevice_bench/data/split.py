"""The splits of examples, the same on every machine: the place of an example decides.

Of five neighbours the first is held out for tests. The second is for validation, where a pass
validates.
"""

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy

from ondevice_bench.data.batch import NoBatch
from ondevice_bench.specs.data import ALL, HELD_OUT, HELD_OUT_EVERY, LEARN, TRAIN, VALIDATION

Array: TypeAlias = numpy.ndarray[Any, Any]
Arrays: TypeAlias = dict[str, Array]

# the places in each five neighbours
_PLACES = {HELD_OUT: (0,), VALIDATION: (1,), LEARN: (2, 3, 4), TRAIN: (1, 2, 3, 4)}


def rows(count: int, split: str) -> Array:
    """The places of the split's examples among `count` examples."""
    places = numpy.arange(count)
    if split == ALL:
        return places
    part: Array = places[numpy.isin(places % HELD_OUT_EVERY, _PLACES[split])]
    return part


@dataclass(frozen=True)
class Draw:
    """The random choice of the examples of a batch: how many, and from which split."""

    size: int
    generator: numpy.random.Generator
    split: str = ALL

    def rows(self, count: int) -> Array:
        """The places of the split's examples among `count` examples."""
        return rows(count, self.split)

    def chosen(self, count: int) -> Array:
        """Random places: with repetition for a batch, without repetition to learn or to test."""
        if self.split == ALL:
            return self.generator.integers(0, count, self.size)
        return self.shuffled(count)

    def shuffled(self, count: int) -> Array:
        """Places of the split in random order. All are used before one repeats."""
        return self.shuffled_of(self.rows(count))

    def shuffled_of(self, places: Array) -> Array:
        """`size` of the places in random order. All are used before one repeats.

        To learn or to test, no place repeats at all, because an example must not count twice.
        """
        if self.split != ALL:
            if not len(places):
                raise NoBatch(
                    f"data: there are too few examples: none is left for the split {self.split!r}"
                )
            return self.generator.permutation(places)[: self.size]
        rounds = -(-self.size // max(1, len(places)))
        orders = [self.generator.permutation(places) for _ in range(rounds)]
        return numpy.concatenate(orders)[: self.size]
