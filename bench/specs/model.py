"""What the suite knows of a model without importing torch."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from bench.specs.layout import Layout
from bench.specs.option import Option, Value

NO_LAYOUT = Layout()


@dataclass(frozen=True)
class ImageInputs:
    """A batch of `(batch, channels, size, size)` images with integer class labels."""

    channels: int
    size: int
    classes: int


@dataclass(frozen=True)
class ModelSpec:
    """A model by name; `implementation` is a module with `construct` and `initialise`."""

    name: str
    title: str
    implementation: str
    inputs: Callable[[Mapping[str, Value]], ImageInputs]
    layer_kinds: frozenset[str]
    batch: int
    options: tuple[Option, ...] = ()
    layout: Layout = NO_LAYOUT
