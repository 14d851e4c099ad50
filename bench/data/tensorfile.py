"""Named tensors in one file: the safetensors layout, written from numpy, read into torch.

Eight bytes of header length, a JSON header with type, shape and byte range of each tensor, then
the bytes. Standard library only at import, because parent and worker share this module.
"""

import ctypes
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy
    import torch

_NUMPY_NAMES = {"float32": "F32", "int64": "I64"}
_TORCH_NAMES = {"F32": "float32", "I64": "int64"}


def write(path: Path, tensors: "Mapping[str, numpy.ndarray[Any, Any]]") -> None:
    """Write contiguous little-endian arrays."""
    header: dict[str, Any] = {}
    offset = 0
    for name, array in tensors.items():
        end = offset + array.nbytes
        header[name] = {
            "dtype": _NUMPY_NAMES[array.dtype.name],
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


def read(path: Path) -> "dict[str, torch.Tensor]":
    """Read every tensor straight into its own storage, without a second copy."""
    import torch

    tensors: dict[str, torch.Tensor] = {}
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(length))
        for name, entry in header.items():
            tensor = torch.empty(entry["shape"], dtype=getattr(torch, _TORCH_NAMES[entry["dtype"]]))
            begin, end = entry["data_offsets"]
            file.seek(8 + length + begin)
            if file.readinto(memory_of(tensor)) != end - begin:
                raise EOFError(f"{path}: tensor {name} is cut short")
            tensors[name] = tensor
    return tensors


def memory_of(tensor: "torch.Tensor") -> memoryview:
    """The bytes of a contiguous CPU tensor, writable, not copied."""
    size = tensor.numel() * tensor.element_size()
    return memoryview((ctypes.c_char * size).from_address(tensor.data_ptr())).cast("B")
