"""Named tensors in one file: the safetensors layout, written from numpy, read into torch.

Eight bytes of header length, a JSON header with type, shape and byte range of each tensor, then
the bytes. Standard library only at import, because parent and worker share this module.
"""

import ctypes
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

if TYPE_CHECKING:
    import numpy
    import torch

# type in the file: (numpy's and torch's name, bytes)
_TYPES = {
    "F64": ("float64", 8),
    "F32": ("float32", 4),
    "F16": ("float16", 2),
    "BF16": ("bfloat16", 2),
    "I64": ("int64", 8),
    "I32": ("int32", 4),
    "I16": ("int16", 2),
    "I8": ("int8", 1),
    "U8": ("uint8", 1),
    "BOOL": ("bool", 1),
}
_NAMES = {name: code for code, (name, _) in _TYPES.items()}
_METADATA = "__metadata__"
_LONGEST_HEADER = 8 << 20  # bytes; the values of a longer one would take much memory


class NoTensorFile(ValueError):
    """The file is not a valid file of tensors. The text has the reason."""


def can_store(kind: str) -> bool:
    """Whether a file can have tensors of this type, by its name in torch."""
    return kind in _NAMES


def write(
    path: Path,
    tensors: "Mapping[str, numpy.ndarray[Any, Any]]",
    metadata: Mapping[str, str] | None = None,
) -> None:
    """Write contiguous little-endian arrays and their metadata."""
    header: dict[str, Any] = {_METADATA: dict(metadata)} if metadata else {}
    offset = 0
    for name, array in tensors.items():
        end = offset + array.nbytes
        header[name] = {
            "dtype": _NAMES[array.dtype.name],
            "shape": list(array.shape),
            "data_offsets": [offset, end],
        }
        offset = end
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little"))
        file.write(text)
        for array in tensors.values():
            file.write(array.data)


def metadata(path: Path) -> dict[str, str]:
    """The metadata of the file."""
    with path.open("rb") as file:
        texts: dict[str, str] = _header(path, file)[0].get(_METADATA, {})
    return texts


def shapes(path: Path) -> dict[str, tuple[int, ...]]:
    """The shape of each tensor. This reads the header only."""
    with path.open("rb") as file:
        return {name: tuple(entry["shape"]) for name, entry in _tensors(_header(path, file)[0])}


def read(path: Path) -> "dict[str, torch.Tensor]":
    """Read every tensor directly into its own storage, without a second copy."""
    import torch

    tensors: dict[str, torch.Tensor] = {}
    with path.open("rb") as file:
        header, start = _header(path, file)
        for name, entry in _tensors(header):
            dtype: torch.dtype = getattr(torch, _TYPES[entry["dtype"]][0])
            tensor = torch.empty(entry["shape"], dtype=dtype)
            file.seek(start + entry["data_offsets"][0])
            if tensor.numel():
                file.readinto(memory_of(tensor))
            tensors[name] = tensor
    return tensors


def memory_of(tensor: "torch.Tensor") -> memoryview:
    """The bytes of a contiguous CPU tensor, writable, not copied."""
    size = tensor.numel() * tensor.element_size()
    return memoryview((ctypes.c_char * size).from_address(tensor.data_ptr())).cast("B")


def _tensors(header: Mapping[str, Any]) -> list[tuple[str, Any]]:
    return [(name, entry) for name, entry in header.items() if name != _METADATA]


def _header(path: Path, file: BinaryIO) -> tuple[dict[str, Any], int]:
    """The checked header, and the position of the first byte of data."""
    whole = path.stat().st_size
    length = int.from_bytes(file.read(8), "little")
    start = 8 + length
    if whole < 8 or length > min(whole - 8, _LONGEST_HEADER):
        raise NoTensorFile(f"{path}: is not a safetensors file, or is cut short")
    try:
        header = json.loads(file.read(length))
        for name, entry in _tensors(header):
            _check(name, entry, whole - start)
        _require_apart(header)
    except NoTensorFile as error:
        raise NoTensorFile(f"{path}: {error}") from None
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise NoTensorFile(f"{path}: is not a safetensors file") from None
    return header, start


def _check(name: str, entry: Mapping[str, Any], available: int) -> None:
    if entry["dtype"] not in _TYPES:
        raise NoTensorFile(f"tensor {name} has the type {entry['dtype']}, which is not read here")
    begin, end = entry["data_offsets"]
    if not all(type(length) is int and 0 <= length < 1 << 40 for length in entry["shape"]):
        raise NoTensorFile(f"tensor {name} has a shape that no tensor can have")
    size = math.prod(entry["shape"]) * _TYPES[entry["dtype"]][1]
    if begin < 0 or end - begin != size:
        raise NoTensorFile(f"tensor {name} has another size than its shape says")
    if end > available:
        raise NoTensorFile(f"tensor {name} is cut short")


def _require_apart(header: Mapping[str, Any]) -> None:
    """Refuse tensors that share bytes: together they could take more memory than the file."""
    end = 0
    for name, entry in sorted(_tensors(header), key=lambda pair: pair[1]["data_offsets"]):
        if entry["data_offsets"][0] < end:
            raise NoTensorFile(f"tensor {name} overlaps another")
        end = entry["data_offsets"][1]
