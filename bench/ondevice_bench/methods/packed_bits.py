"""A few bits for each element of a tensor, packed into bytes."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy
import torch
from torch import Tensor

from ondevice_bench.methods.tensors import has_content

Array: TypeAlias = "numpy.ndarray[Any, Any]"

BLOCK = 1 << 16  # elements, a multiple of 8: a block and its bits stay in the cache
_FORMATS = ((torch.channels_last, 4), (torch.channels_last_3d, 5))


def packed_size(elements: int, bits: int) -> int:
    """The bytes of this number of elements, with `bits` bits each."""
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

    def pack(self, x: Tensor, numbers: Callable[[Tensor], Array]) -> Tensor:
        """The bytes of `numbers(elements)`, with the elements of `x` block by block.

        The function returns bools for one bit, or bytes.
        """
        packed = torch.empty(packed_size(x.numel(), self.bits), dtype=torch.uint8)
        if has_content():
            target, start = packed.numpy(), 0
            for block in self._blocks(x):
                found = _pack(numbers(block), self.bits)
                target[start : start + len(found)] = found
                start += len(found)
        return packed

    def unpack(
        self, packed: Tensor, put: Callable[..., object], y: Tensor, *more: Tensor
    ) -> Tensor:
        """Fill `y` block by block: `put(elements, numbers)` gets elements of `y` to write.

        It also gets the same elements of more tensors. `y` must be in the order of the bits.
        """
        if has_content():
            source, start = packed.numpy(), 0
            for elements, *others in zip(*map(self._blocks, (y, *more)), strict=True):
                count = len(elements)
                end = start + packed_size(count, self.bits)
                put(elements, _unpack(source[start:end], self.bits, count), *others)
                start = end
        return y

    def _blocks(self, x: Tensor) -> tuple[Tensor, ...]:
        """The elements of the tensor in the order of the bits."""
        if self.order != torch.contiguous_format or not x.is_contiguous():
            x = x.contiguous(memory_format=self.order).as_strided((x.numel(),), (1,))
        flat = x.view(-1)
        return (flat,) if len(flat) <= BLOCK else flat.split(BLOCK)

    def empty(self, dtype: torch.dtype) -> Tensor:
        """A tensor of the same shape and order."""
        return torch.empty(self.shape, dtype=dtype, memory_format=self.order)


def as_array(block: Tensor) -> Array:
    """The block for numpy, whose comparisons are several times as fast as torch's."""
    return (block.float() if block.dtype == torch.bfloat16 else block).numpy()


def _pack(numbers: Array, bits: int) -> Array:
    if bits == 1:
        return numpy.packbits(numbers)
    if 8 % bits:
        planes = numpy.arange(bits, dtype=numpy.uint8)[:, None]
        return numpy.packbits((numbers >> planes) & 1)
    rows = 8 // bits
    table = numpy.pad(numbers, (0, -len(numbers) % rows)).reshape(rows, -1)
    packed: Array = table[0].copy()
    for place in range(1, rows):
        packed |= table[place] << (bits * place)
    return packed


def _unpack(packed: Array, bits: int, count: int) -> Array:
    """The numbers as bytes. torch converts bytes to floats in a seventh of the time of bools."""
    if bits == 1:
        return numpy.unpackbits(packed, count=count)
    if 8 % bits:
        planes = numpy.unpackbits(packed, count=bits * count).reshape(bits, count)
        numbers: Array = planes[0]
        for place in range(1, bits):
            numbers |= planes[place] << place
        return numbers
    places = numpy.arange(0, 8, bits, dtype=numpy.uint8)[:, None]
    fields: Array = (packed >> places) & (2**bits - 1)
    return fields.reshape(-1)[:count]


def _order(x: Tensor) -> torch.memory_format:
    if x.is_contiguous():
        return torch.contiguous_format
    for order, dimensions in _FORMATS:
        if x.ndim == dimensions and x.is_contiguous(memory_format=order):
            return order
    return torch.contiguous_format
