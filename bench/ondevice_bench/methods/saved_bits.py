"""Saved tensors in a few bits, by groups with a scale of their own (ActNN, GACT, Mesa)."""

from functools import partial

import torch
from torch import Tensor

from ondevice_bench.methods.packed_bits import BLOCK, Array, PackedBits
from ondevice_bench.methods.packed_saves import Packed, PackedSaves
from ondevice_bench.methods.tensors import has_content

GROUP = 256  # neighbours in memory that share their smallest number and their range
SMALLEST = 1024  # elements: smaller tensors stay as they are


class SavedBits(PackedSaves):
    """Packs the storages of floating-point tensors, and rounds at random.

    On average, the unpacked numbers are those that were packed. A group of equal numbers is exact.
    """

    packs_inputs = False
    smallest = SMALLEST

    def __init__(self, *, bits: int) -> None:
        super().__init__()
        self.bits = bits
        self._stream = torch.Generator().manual_seed(0)

    def part(self, tensor: Tensor) -> Tensor:
        """The whole storage: its other parts are often saved, too."""
        count = tensor.untyped_storage().nbytes() // tensor.element_size()
        return tensor.as_strided((count,), (1,), 0)

    def view(self, part: Tensor, shape: torch.Size, stride: tuple[int, ...], offset: int) -> Tensor:
        """The saved tensor within its storage."""
        return part.as_strided(shape, stride, offset)

    def pack(self, tensor: Tensor) -> Packed | None:
        """Numbers, and the minimum and the range of each group."""
        if not tensor.is_floating_point() or tensor.numel() < self.smallest:
            return None
        scales = _scales(tensor)
        if scales is None:
            return None
        kept = PackedBits.like(tensor, self.bits)
        blocks = iter(scales.split(BLOCK // GROUP))
        numbers = kept.pack(
            tensor, lambda block: _rounded(block, next(blocks), self.bits, self._stream)
        )
        return Packed((numbers, scales), partial(_unpacked, kept, tensor.dtype))


def _scales(tensor: Tensor) -> Tensor | None:
    """The minimum and the range of each group; None if they are not finite."""
    scales = torch.empty(-(-tensor.numel() // GROUP), 2, dtype=_wide(tensor.dtype))
    if not has_content():
        return scales
    for block, part in zip(tensor.split(BLOCK), scales.split(BLOCK // GROUP), strict=True):
        low, high = _groups(block).aminmax(dim=1)
        part[:, 0], part[:, 1] = low, high.to(part.dtype) - low
    return scales if torch.isfinite(scales).all() else None


def _rounded(block: Tensor, scales: Tensor, bits: int, stream: torch.Generator) -> Array:
    """Each number as a step of its group, rounded up or down by chance."""
    groups, (low, width) = _groups(block), scales.split(1, dim=1)
    steps = 2**bits - 1
    share = (groups - low).div_(width).nan_to_num_(0.0)  # equal numbers have no width
    chance = torch.rand(share.shape, generator=stream, dtype=share.dtype)
    steps_of_all = share.mul_(steps).add_(chance).clamp_(0, steps).to(torch.uint8)
    numbers: Array = steps_of_all.view(-1)[: len(block)].numpy()
    return numbers


def _unpacked(kept: PackedBits, dtype: torch.dtype, tensors: tuple[Tensor, ...]) -> Tensor:
    numbers, scales = tensors
    blocks = iter(scales.split(BLOCK // GROUP))

    def put(elements: Tensor, numbers: Array) -> None:
        low, width = next(blocks).split(1, dim=1)
        groups = (
            _groups(torch.from_numpy(numbers))
            .to(low.dtype)
            .mul_(width / (2**kept.bits - 1))
            .add_(low)
        )
        elements.copy_(groups.view(-1)[: len(elements)])

    return kept.unpack(numbers, put, kept.empty(dtype))


def _groups(block: Tensor) -> Tensor:
    """The elements as rows of a group each. The last number fills up the last row."""
    missing = -len(block) % GROUP
    if missing:
        block = torch.cat([block, block[-1:].expand(missing)])
    return block.view(-1, GROUP)


def _wide(dtype: torch.dtype) -> torch.dtype:
    return torch.float64 if dtype == torch.float64 else torch.float32
