"""The content of a network's batch. Standard library only: workers import this module."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, TypeAlias

# of ImageNet, as most public networks were trained; and from -1 to 1, as those of TensorFlow were
IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
SYMMETRIC = ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))


@dataclass(frozen=True)
class Images:
    """`(batch, channels, size, size)` images; one label each, or one for each pixel (`dense`).

    A colour of a pixel is in 0 … 1. Its mean is taken away, then it is divided by the deviation.
    """

    channels: int
    size: int
    classes: int
    dense: bool = False
    mean: tuple[float, float, float] = IMAGENET[0]
    deviation: tuple[float, float, float] = IMAGENET[1]

    @property
    def scaling(self) -> str:
        """The mean and the deviation in words; empty for those of ImageNet."""
        if (self.mean, self.deviation) == IMAGENET:
            return ""
        numbers = (" ".join(f"{each:g}" for each in part) for part in (self.mean, self.deviation))
        return ", ".join(map(" ".join, zip(("mean", "deviation"), numbers, strict=True)))


@dataclass(frozen=True)
class Tokens:
    """`(batch, length)` tokens; one label each, or with no classes the next token at each place."""

    length: int
    vocabulary: int
    classes: int = 0


@dataclass(frozen=True)
class LayerTensors:
    """The input of one layer, and a factor for each number of its output.

    The loss is the inner product of output and factors. Both shapes are those of one example.
    """

    input: tuple[int, ...]
    output: tuple[int, ...]


@dataclass(frozen=True)
class OwnBatch:
    """The result of the function `batch(size, seed)` in a user's file."""


Inputs: TypeAlias = Images | Tokens | LayerTensors | OwnBatch

_KINDS = {"images": Images, "tokens": Tokens, "layer": LayerTensors, "own": OwnBatch}


def to_dict(inputs: Inputs) -> dict[str, Any]:
    """The inputs as plain values."""
    (kind,) = (name for name, form in _KINDS.items() if isinstance(inputs, form))
    return {"kind": kind, **asdict(inputs)}


def from_dict(values: Mapping[str, Any]) -> Inputs:
    """The inverse of `to_dict`."""
    fields = dict(values)
    kind = _KINDS[fields.pop("kind")]
    # JSON has lists for tuples
    fields = {name: tuple(v) if isinstance(v, list) else v for name, v in fields.items()}
    inputs: Inputs = kind(**fields)
    return inputs
