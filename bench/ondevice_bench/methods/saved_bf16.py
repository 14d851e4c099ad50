"""Saved tensors in bfloat16: half the bytes between forward and backward."""

from functools import partial

import torch
from torch import Tensor

from ondevice_bench.methods.packed_saves import Packed, PackedSaves


class SavedBf16(PackedSaves):
    """Packs wide floats, also those of the batch."""

    def pack(self, tensor: Tensor) -> Packed | None:
        """The tensor in bfloat16."""
        if tensor.dtype not in {torch.float32, torch.float64}:
            return None
        return Packed((tensor.to(torch.bfloat16),), partial(_widened, tensor.dtype))


def _widened(dtype: torch.dtype, tensors: tuple[Tensor, ...]) -> Tensor:
    return tensors[0].to(dtype)
