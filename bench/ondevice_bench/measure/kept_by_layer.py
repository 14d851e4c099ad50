"""The bytes that single layers keep for backward, for comparison with what a method declares.

The class "changed layers" of the activation bytes cannot be compared with declared sizes. Each
storage counts once there, for the module that saved it first, and tensors of the batch do not
count. Here each layer counts what it keeps itself. If a layer keeps its input, it counts the input
and not the storage behind it, of which the input may be a part.
"""

import weakref
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from ondevice_bench.measure.activations import SavedTensor, storage_key
from ondevice_bench.measure.removable_hooks import hooked
from ondevice_bench.measure.training_step import TrainingStep
from ondevice_bench.metrics import SOURCE_TOLERANCE

_SHOWN = 3


@dataclass
class _Layer:
    """One layer in one forward."""

    calls: int = 0
    saved: "weakref.WeakKeyDictionary[SavedTensor, int | None]" = field(
        default_factory=weakref.WeakKeyDictionary
    )  # with the bytes of the layer's input, if the tensor is a part of it


def kept_by_layer(step: TrainingStep, layers: Mapping[str, nn.Module]) -> dict[str, int]:
    """The bytes that each layer keeps, of those that one forward calls exactly one time."""
    counts = {name: _Layer() for name in layers}
    running: list[tuple[_Layer, Tensor]] = []

    def pack(tensor: Tensor) -> SavedTensor:
        saved = SavedTensor(tensor)
        for layer, x in running:
            is_input = storage_key(x) == storage_key(tensor)
            layer.saved[saved] = x.nbytes if is_input else None
        return saved

    with (
        _following(layers, counts, running),
        torch.autograd.graph.saved_tensors_hooks(pack, lambda saved: saved.tensor),
    ):
        loss = step.forward(0)
        resident = {storage_key(tensor) for tensor in step.resident()}
        kept = {name: _bytes(each, resident) for name, each in counts.items() if each.calls == 1}
    step.backward(loss)
    return kept


def undeclared(declared: Mapping[str, int], kept: Mapping[str, int]) -> str:
    """A message if layers keep other bytes than their method declares, otherwise empty text.

    Layers of which one number is missing are not compared.
    """
    differing = [
        name
        for name in declared.keys() & kept.keys()
        if abs(declared[name] - kept[name]) > SOURCE_TOLERANCE * max(declared[name], kept[name])
    ]
    if not differing:
        return ""
    differing.sort(key=lambda name: (-abs(declared[name] - kept[name]), name))
    says, keeps = (sum(numbers[name] for name in differing) for numbers in (declared, kept))
    more = f" and {len(differing) - _SHOWN} more" if len(differing) > _SHOWN else ""
    return (
        f"the method declares {says:,} B for {len(differing)} of {len(declared)} changed layers, "
        f"but these layers keep {keeps:,} B: "
        f"{', '.join(differing[:_SHOWN])}{more}"
    )


@contextmanager
def _following(
    layers: Mapping[str, nn.Module],
    counts: Mapping[str, _Layer],
    running: list[tuple[_Layer, Tensor]],
) -> Iterator[None]:
    """Keep in `running` the layers whose forward is running, with their inputs."""

    def enter(name: str, positional: tuple[Tensor, ...], named: Mapping[str, Tensor]) -> None:
        x = positional[0] if positional else next(iter(named.values()))
        counts[name].calls += 1
        running.append((counts[name], x))

    def leave(*_: object) -> None:
        running.pop()

    hooks = [
        hook
        for name, layer in layers.items()
        for hook in (
            layer.register_forward_pre_hook(
                lambda _, positional, named, name=name: enter(name, positional, named),
                with_kwargs=True,
            ),
            layer.register_forward_hook(leave),
        )
    ]
    with hooked(hooks):
        yield


def _bytes(layer: _Layer, resident: set[int]) -> int:
    sizes: dict[int, int] = {}
    for saved, of_input in layer.saved.items():
        key = storage_key(saved.tensor)
        if of_input is not None:
            sizes[key] = of_input
        elif key not in resident:
            sizes[key] = saved.tensor.untyped_storage().nbytes()
    return sum(sizes.values())
