"""The size of the tensors that a method declares as stored, in elements and in bytes."""

import operator
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import torch

from ondevice_bench.errors import BadInput

StoredTensor: TypeAlias = "int | tuple[int, torch.dtype]"
"""The elements of a tensor, with its type if this is not the type of the network."""

Stored: TypeAlias = "int | Sequence[StoredTensor]"
"""What `LayerMethod.stored` returns."""


@dataclass(frozen=True)
class StoredSize:
    """Elements of all stored tensors, of whatever type, and their bytes."""

    elements: int
    bytes: int


def stored_size(declared: Stored, dtype: torch.dtype) -> StoredSize:
    """The declared size in a network of that type."""
    parts: Sequence[StoredTensor] = declared if isinstance(declared, Sequence) else [declared]
    try:
        sizes = [_size(part, dtype) for part in parts]
    except (AttributeError, TypeError, ValueError):
        raise BadInput(
            f"`stored` returned {declared!r}: return the number of elements, or a list with the "
            "elements of each tensor; a tensor of another type is a pair, as (12, torch.int64)"
        ) from None
    return StoredSize(sum(count for count, _ in sizes), sum(size for _, size in sizes))


def _size(part: StoredTensor, dtype: torch.dtype) -> tuple[int, int]:
    elements, kind = part if isinstance(part, tuple) else (part, dtype)
    count = operator.index(elements)
    return count, count * kind.itemsize
