"""Saved tensors in bfloat16: halved between forward and backward, widened when needed."""

import contextlib
import weakref
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.multiprocessing.reductions import StorageWeakRef


@dataclass(eq=False)
class _Packed:
    tensor: Tensor
    dtype: torch.dtype
    source: StorageWeakRef  # while it lives, no other storage gets the same identity


class SavedBf16:
    """Hooks around forward; parameters and what is no wide float are kept as they are."""

    def __init__(self) -> None:
        self._packed: weakref.WeakValueDictionary[tuple[object, ...], _Packed]
        self._packed = weakref.WeakValueDictionary()

    @contextlib.contextmanager
    def packing(self, model: nn.Module) -> Iterator[None]:
        """Pack what is saved within."""
        resident = {_storage(tensor) for tensor in (*model.parameters(), *model.buffers())}

        def pack(tensor: Tensor) -> _Packed:
            wide = tensor.dtype in {torch.float32, torch.float64}
            keep = not wide or _storage(tensor) in resident
            # one tensor saved by several layers is packed once
            place = (_storage(tensor), tensor.storage_offset(), tensor.shape, tensor.stride())
            key = (*place, tensor._version, keep)
            held = self._packed.get(key)
            if held is None:
                kept = tensor.detach() if keep else tensor.detach().to(torch.bfloat16)
                held = self._packed[key] = _Packed(
                    kept, tensor.dtype, StorageWeakRef(tensor.untyped_storage())
                )
            return held

        def unpack(packed: _Packed) -> Tensor:
            return packed.tensor.to(packed.dtype)

        self._packed.clear()
        with torch.autograd.graph.saved_tensors_hooks(pack, unpack):
            yield

    def held(self) -> Iterator[Tensor]:
        """What is packed and alive now: other hooks do not see it."""
        yield from (packed.tensor for packed in list(self._packed.values()))


def _storage(tensor: Tensor) -> int:
    return int(tensor.untyped_storage()._cdata)
