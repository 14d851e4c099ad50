"""Some numbers of a tensor. Reading them calls no operator, because operators are counted."""

from array import array

import torch
from torch import Tensor

from ondevice_bench.methods.tensors import is_strided

SAMPLED = 32  # elements of a tensor
_CODES = {torch.float32: "f", torch.float64: "d"}


def sampled_bytes(tensor: Tensor) -> tuple[torch.dtype, bytes] | None:
    """Some elements of a contiguous tensor, as bytes; None if it is on another device."""
    storage, first = tensor.untyped_storage(), int(tensor.storage_offset())
    if storage.device.type != "cpu":
        return None
    size, count = tensor.element_size(), tensor.numel()
    places = range(0, count, max(1, count // SAMPLED))
    numbers = bytes(
        storage[(first + place) * size + byte] for place in places for byte in range(size)
    )
    return tensor.dtype, numbers


def sampled_numbers(tensor: Tensor) -> list[float]:
    """Some numbers of the tensor; none if they cannot be read in this way."""
    code = _CODES.get(tensor.dtype)
    if code is None or not is_strided(tensor) or not tensor.is_contiguous():
        return []
    found = sampled_bytes(tensor)
    return [] if found is None else [float(each) for each in array(code, found[1])]
