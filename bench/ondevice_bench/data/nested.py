"""A batch as a user's function returns it: tensors in tuples, lists and mappings."""

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ondevice_bench.data import tensorfile

if TYPE_CHECKING:
    from torch import Tensor

_TREE = "tree"
_PAIR = ("inputs", "targets")


def leaves(batch: Any) -> "Iterator[Tensor]":
    """Every tensor, in order."""
    if isinstance(batch, Mapping):
        for value in batch.values():
            yield from leaves(value)
    elif isinstance(batch, (tuple, list)):
        for value in batch:
            yield from leaves(value)
    else:
        yield batch


def mapped(batch: Any, change: "Callable[[Tensor], Tensor]") -> Any:
    """The same structure with every tensor changed."""
    if isinstance(batch, Mapping):
        return {name: mapped(value, change) for name, value in batch.items()}
    if isinstance(batch, (tuple, list)):
        return tuple(mapped(value, change) for value in batch)
    return change(batch)


def write(path: Path, batch: Any) -> None:
    """Write a batch of tensors, with its structure as text beside them."""
    arrays: dict[str, Any] = {}

    def names(value: Any) -> Any:
        if isinstance(value, Mapping):
            return {str(name): names(part) for name, part in value.items()}
        if isinstance(value, (tuple, list)):
            return [names(part) for part in value]
        name = str(len(arrays))
        arrays[name] = _array(value)
        return name

    tree = json.dumps(names(batch))
    tensorfile.write(path, arrays, {_TREE: tree})


def _array(tensor: "Tensor") -> Any:
    """The tensor for a file. numpy has no bfloat16: float32 has the same numbers."""
    kind = str(tensor.dtype).removeprefix("torch.")
    if not tensorfile.can_store(kind):
        raise ValueError(f"a batch cannot have tensors of the type {kind}")
    tensor = tensor.float() if kind == "bfloat16" else tensor
    return tensor.detach().cpu().contiguous().numpy()


def read(path: Path) -> Any:
    """The batch of a file in its original structure, or the pair of inputs and targets."""
    tensors = tensorfile.read(path)
    tree = tensorfile.metadata(path).get(_TREE)

    def filled(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: filled(part) for name, part in value.items()}
        return tuple(filled(part) for part in value) if isinstance(value, list) else tensors[value]

    return filled(json.loads(tree)) if tree else tuple(tensors[name] for name in _PAIR)
