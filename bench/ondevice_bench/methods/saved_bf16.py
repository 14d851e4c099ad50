"""Saved tensors in bfloat16: half the bytes between forward and backward."""

import contextlib
import weakref
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.multiprocessing.reductions import StorageWeakRef

from ondevice_bench.methods.method import Method


@dataclass(eq=False)
class _Packed:
    tensor: Tensor
    dtype: torch.dtype


class SavedBf16(Method):
    """Hooks around forward. They change no parameters and no tensors other than wide floats."""

    def __init__(self) -> None:
        self._alive: weakref.WeakSet[_Packed] = weakref.WeakSet()

    def __getstate__(self) -> dict[str, Any]:
        """Nothing: what is packed belongs to the graph of one process."""
        return {}

    def __setstate__(self, _: dict[str, Any]) -> None:
        """A copy has packed nothing."""
        self._alive = weakref.WeakSet()

    @contextlib.contextmanager
    def packing(self, model: nn.Module) -> Iterator[None]:
        """Pack the tensors that the block saves."""
        resident = {_storage(tensor) for tensor in (*model.parameters(), *model.buffers())}
        shared: weakref.WeakValueDictionary[tuple[object, ...], _Packed]
        shared = weakref.WeakValueDictionary()
        sources: list[StorageWeakRef] = []  # so that no other storage gets the same identity

        def pack(tensor: Tensor) -> _Packed:
            wide = tensor.dtype in {torch.float32, torch.float64}
            as_it_is = not wide or _storage(tensor) in resident
            # a tensor that several layers save is packed only one time
            view = (_storage(tensor), tensor.storage_offset(), tensor.shape, tensor.stride())
            key = (*view, tensor._version, as_it_is)
            packed = shared.get(key)
            if packed is None:
                content = tensor.detach() if as_it_is else tensor.detach().to(torch.bfloat16)
                packed = shared[key] = _Packed(content, tensor.dtype)
                sources.append(StorageWeakRef(tensor.untyped_storage()))
                self._alive.add(packed)
            return packed

        def unpack(packed: _Packed) -> Tensor:
            return packed.tensor.to(packed.dtype)

        try:
            with torch.autograd.graph.saved_tensors_hooks(pack, unpack):
                yield
        finally:
            sources.clear()  # the graph keeps `pack`

    def packed_tensors(self) -> Iterator[Tensor]:
        """The packed tensors that are alive now."""
        yield from (packed.tensor for packed in list(self._alive))


def _storage(tensor: Tensor) -> int:
    return int(tensor.untyped_storage()._cdata)
