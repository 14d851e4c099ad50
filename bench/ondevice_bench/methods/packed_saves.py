"""Methods that pack what autograd saves, by hooks around forward."""

import contextlib
import weakref
from abc import abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.multiprocessing.reductions import StorageWeakRef

from ondevice_bench.errors import Refusal
from ondevice_bench.methods.function_call import is_transformed
from ondevice_bench.methods.method import Method
from ondevice_bench.methods.refusals import require_values
from ondevice_bench.methods.tensors import is_strided
from ondevice_bench.specs.layout import ModelLayout

_OF_ONE_PROCESS = {"_alive", "_stays"}


@dataclass(eq=False)
class Packed:
    """The tensors that stand for a saved one, and the way back to it."""

    tensors: tuple[Tensor, ...]
    unpack: Callable[[tuple[Tensor, ...]], Tensor]


@dataclass(frozen=True)
class _Saved:
    """What the graph holds in place of a saved tensor."""

    packed: Packed
    original: "_Geometry"
    version: int | None  # of a tensor that is kept as it is


@dataclass(frozen=True)
class _Geometry:
    shape: torch.Size
    stride: tuple[int, ...]
    offset: int

    @staticmethod
    def of(tensor: Tensor) -> "_Geometry":
        return _Geometry(tensor.shape, tensor.stride(), int(tensor.storage_offset()))


class PackedSaves(Method):
    """Hooks around forward. What several layers save is packed only once."""

    packs_inputs = True
    """Whether tensors that the network is called with are packed, too."""

    def __init__(self) -> None:
        self._alive: weakref.WeakSet[Packed] = weakref.WeakSet()
        self._stays: set[int] = set()  # storages that are not packed in the current forward

    def __getstate__(self) -> dict[str, Any]:
        """All but what is packed, which belongs to the graph of one process."""
        return {name: each for name, each in vars(self).items() if name not in _OF_ONE_PROCESS}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """A copy has packed nothing."""
        vars(self).update(state)
        PackedSaves.__init__(self)

    def wrap(self, model: nn.Module, layout: ModelLayout) -> None:
        """Refuse parameters without a storage, which could not be told from other tensors."""
        require_values(model, type(self).__name__)

    @abstractmethod
    def pack(self, tensor: Tensor) -> Packed | None:
        """The packed tensor; None if it must stay as it is."""

    def part(self, tensor: Tensor) -> Tensor:
        """What is packed for this tensor: the tensor itself, or more of its storage."""
        return tensor

    def view(self, part: Tensor, shape: torch.Size, stride: tuple[int, ...], offset: int) -> Tensor:
        """The saved tensor, from its unpacked part."""
        return part

    @contextlib.contextmanager
    def packing(self, model: nn.Module) -> Iterator[None]:
        """Pack the tensors that the block saves. Transforms of `torch.func` take no hooks."""
        if is_transformed():
            yield
            return
        resident = (*model.parameters(), *model.buffers())
        self._stays = stays = {_storage(each) for each in resident if is_strided(each)}
        shared: weakref.WeakValueDictionary[tuple[object, ...], Packed]
        shared = weakref.WeakValueDictionary()
        sources: list[StorageWeakRef] = []  # so that no other storage gets the same identity

        def pack(tensor: Tensor) -> _Saved | Tensor:
            if not is_strided(tensor):  # it stays as it is
                return tensor.detach()
            is_packed = _storage(tensor) not in stays
            part = self.part(tensor.detach()) if is_packed else tensor.detach()
            key = (_storage(part), part.dtype, _Geometry.of(part), tensor._version, is_packed)
            packed = shared.get(key)
            if packed is None:
                packed = (self.pack(part) if is_packed else None) or Packed((part,), _as_it_is)
                shared[key] = packed
                sources.append(StorageWeakRef(tensor.untyped_storage()))
                self._alive.add(packed)
            is_kept = packed.unpack is _as_it_is and not tensor.is_inference()
            return _Saved(packed, _Geometry.of(tensor), tensor._version if is_kept else None)

        def unpack(saved: _Saved | Tensor) -> Tensor:
            if isinstance(saved, Tensor):
                return saved
            packed, original = saved.packed, saved.original
            part = packed.unpack(packed.tensors)
            if saved.version is not None and part._version != saved.version:
                raise Refusal(
                    "a tensor that the forward pass has saved was changed in place before backward "
                    "(such as a weight, by the step of an optimizer): its gradient would be wrong"
                )
            return self.view(part, original.shape, original.stride, original.offset)

        try:
            with torch.autograd.graph.saved_tensors_hooks(pack, unpack):
                yield
        finally:
            sources.clear()  # the graph keeps `pack`

    def see_inputs(self, inputs: Iterator[Tensor]) -> None:
        """Leave the inputs as they are, unless the method packs them, too."""
        if not self.packs_inputs:
            self._stays.update(_storage(each) for each in inputs if is_strided(each))

    def packed_tensors(self) -> Iterator[Tensor]:
        """The packed tensors that are alive now."""
        for packed in list(self._alive):
            yield from packed.tensors


def _as_it_is(tensors: tuple[Tensor, ...]) -> Tensor:
    return tensors[0]


def _storage(tensor: Tensor) -> int:
    return int(tensor.untyped_storage()._cdata)
