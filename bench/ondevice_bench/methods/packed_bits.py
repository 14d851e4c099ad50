"""One bit an element: which of two things holds for each element of a tensor."""

from typing import Any

import numpy
import torch
from torch import Tensor

from ondevice_bench.methods.tensors import has_content

_BLOCK = 1 << 18  # elements; what is unpacked of a block stays in the cache


def size_of_bits(elements: int) -> int:
    """The bytes of that many packed bits."""
    return -(-elements // 8)


class Bits:
    """The shape and the order in memory of packed bits. The bits themselves are one tensor."""

    def __init__(self, like: Tensor) -> None:
        self._shape = like.shape
        self._format = _dense_format(like)

    def pack(self, x: Tensor, test: Any) -> Tensor:
        """Pack `test(elements)` for all elements of a tensor of this shape and order."""
        packed = torch.empty(size_of_bits(x.numel()), dtype=torch.uint8)
        if has_content():
            flat = self._flat(x.contiguous(memory_format=self._format))
            for start in range(0, len(flat), _BLOCK):
                block = numpy.packbits(test(flat[start : start + _BLOCK]).numpy())
                packed[start // 8 : start // 8 + len(block)] = torch.from_numpy(block)
        return packed

    def unpack(self, packed: Tensor) -> Tensor:
        """The bits as a tensor of bools."""
        mask = torch.empty(self._shape, dtype=torch.bool, memory_format=self._format)
        if has_content():
            flat = self._flat(mask)
            bits = numpy.unpackbits(packed.numpy(), count=len(flat))
            flat.copy_(torch.from_numpy(bits.view(bool)))
        return mask

    def _flat(self, x: Tensor) -> Tensor:
        """The elements in the order of memory."""
        return x.as_strided((x.numel(),), (1,))


def _dense_format(x: Tensor) -> torch.memory_format:
    for each, dimensions in ((torch.channels_last, 4), (torch.channels_last_3d, 5)):
        if x.ndim == dimensions and not x.is_contiguous() and x.is_contiguous(memory_format=each):
            return each
    return torch.contiguous_format
