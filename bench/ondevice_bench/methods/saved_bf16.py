"""Saved tensors in bfloat16: half the bytes between forward and backward."""

import contextlib
import weakref
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.multiprocessing.reductions import StorageWeakRef

from ondevice_bench.methods.method import Method


@dataclass(eq=False)
class _Packed:
    tensor: Tensor
    dtype: torch.dtype
    source: StorageWeakRef  # while it lives, no other storage gets the same identity


class SavedBf16(Method):
    """Hooks around forward. They change no parameters and no tensors other than wide floats."""

    def __init__(self) -> None:
        self._packed: weakref.WeakValueDictionary[tuple[object, ...], _Packed]
        self._packed = weakref.WeakValueDictionary()

    @contextlib.contextmanager
    def packing(self, model: nn.Module) -> Iterator[None]:
        """Pack the tensors that the block saves."""
        resident = {_storage(tensor) for tensor in (*model.parameters(), *model.buffers())}

        def pack(tensor: Tensor) -> _Packed:
            wide = tensor.dtype in {torch.float32, torch.float64}
            as_it_is = not wide or _storage(tensor) in resident
            # a tensor that several layers save is packed only one time
            view = (_storage(tensor), tensor.storage_offset(), tensor.shape, tensor.stride())
            key = (*view, tensor._version, as_it_is)
            packed = self._packed.get(key)
            if packed is None:
                content = tensor.detach() if as_it_is else tensor.detach().to(torch.bfloat16)
                packed = self._packed[key] = _Packed(
                    content, tensor.dtype, StorageWeakRef(tensor.untyped_storage())
                )
            return packed

        def unpack(packed: _Packed) -> Tensor:
            return packed.tensor.to(packed.dtype)

        self._packed.clear()
        with torch.autograd.graph.saved_tensors_hooks(pack, unpack):
            yield

    def packed_tensors(self) -> Iterator[Tensor]:
        """The packed tensors that are alive now."""
        yield from (packed.tensor for packed in list(self._packed.values()))


def _storage(tensor: Tensor) -> int:
    return int(tensor.untyped_storage()._cdata)
