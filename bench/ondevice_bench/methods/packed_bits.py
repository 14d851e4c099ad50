"""A few bits for each element of a tensor, packed into bytes."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy
import torch
from torch import Tensor

from ondevice_bench.methods.tensors import has_content

Numbers: TypeAlias = "numpy.ndarray[Any, Any]"

BLOCK = 1 << 18  # elements, a multiple of 8: a block and its bits stay in the cache
_FORMATS = ((torch.channels_last, 4), (torch.channels_last_3d, 5))


def packed_size(elements: int, bits: int) -> int:
    """The bytes of that many elements of so many bits."""
    return -(-elements * bits // 8)


@dataclass(frozen=True)
class PackedBits:
    """A tensor of small numbers of `bits` bits: the bytes, the shape, and the order in memory."""

    shape: torch.Size
    order: torch.memory_format
    bits: int

    @staticmethod
    def like(x: Tensor, bits: int) -> "PackedBits":
        """For numbers that belong to the elements of this tensor."""
        return PackedBits(x.shape, _order(x), bits)

    def pack(self, x: Tensor, numbers: Callable[[Tensor], Tensor]) -> Tensor:
        """The bytes of `numbers(elements)`, with the elements of `x` block by block.

        The function returns bools for one bit, or bytes.
        """
        packed = torch.empty(packed_size(x.numel(), self.bits), dtype=torch.uint8)
        if has_content():
            flat = _flat(x.contiguous(memory_format=self.order))
            for first in range(0, len(flat), BLOCK):
                found = _pack(numbers(flat[first : first + BLOCK]).numpy(), self.bits)
                start = packed_size(first, self.bits)
                packed[start : start + len(found)] = torch.from_numpy(found)
        return packed

    def unpack(self, packed: Tensor, put: Callable[[Tensor, Tensor], object], y: Tensor) -> Tensor:
        """Fill `y` block by block: `put(elements, numbers)` gets elements of `y` to write."""
        if has_content():
            flat, content = _flat(y), packed.numpy()
            for first in range(0, len(flat), BLOCK):
                part = flat[first : first + BLOCK]
                start = packed_size(first, self.bits)
                end = start + packed_size(len(part), self.bits)
                put(part, torch.from_numpy(_unpack(content[start:end], self.bits, len(part))))
        return y

    def empty(self, dtype: torch.dtype) -> Tensor:
        """A tensor of the same shape and order."""
        return torch.empty(self.shape, dtype=dtype, memory_format=self.order)


def _pack(numbers: Numbers, bits: int) -> Numbers:
    if bits == 1:
        return numpy.packbits(numbers)
    if 8 % bits:
        planes = numpy.arange(bits, dtype=numpy.uint8)[:, None]
        return numpy.packbits((numbers >> planes) & 1)
    rows = 8 // bits
    table = numpy.pad(numbers, (0, -len(numbers) % rows)).reshape(rows, -1)
    packed = table[0].copy()
    for place in range(1, rows):
        packed |= table[place] << (bits * place)
    return packed


def _unpack(packed: Numbers, bits: int, count: int) -> Numbers:
    """Bools for one bit, otherwise bytes."""
    if bits == 1:
        return numpy.unpackbits(packed, count=count).view(bool)
    if 8 % bits:
        planes = numpy.unpackbits(packed, count=bits * count).reshape(bits, count)
        return numpy.bitwise_or.reduce(planes << numpy.arange(bits, dtype=numpy.uint8)[:, None])
    places = numpy.arange(0, 8, bits, dtype=numpy.uint8)[:, None]
    return ((packed >> places) & (2**bits - 1)).reshape(-1)[:count]


def _flat(x: Tensor) -> Tensor:
    """The elements in the order of memory."""
    return x.as_strided((x.numel(),), (1,))


def _order(x: Tensor) -> torch.memory_format:
    if x.is_contiguous():
        return torch.contiguous_format
    for order, dimensions in _FORMATS:
        if x.ndim == dimensions and x.is_contiguous(memory_format=order):
            return order
    return torch.contiguous_format
