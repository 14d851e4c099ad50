"""The inputs of the chosen layers and of the head, from a forward on tensors without bytes."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from torch import Tensor, nn

from ondevice_bench.models.families import family
from ondevice_bench.models.layers import LayerSelection, layer_input, select_layers
from ondevice_bench.protocol.job import Job
from ondevice_bench.specs.layout import ModelLayout
from ondevice_bench.worker.fake_workload import fake_workload
from ondevice_bench.worker.workload import Workload, layout_of


@dataclass(frozen=True)
class LayerInput:
    """The input of a layer, of its last call. Layers with the same `storage` share it.

    It begins with the element `first` of the storage, which has `whole` elements.
    """

    shape: tuple[int, ...]
    needs_gradient: bool
    storage: int
    first: int
    whole: int
    calls: int = 1


@dataclass(frozen=True)
class NetworkWalk:
    """A network in plain training, the choice of its layers, and the inputs of those called."""

    model: nn.Module
    layout: ModelLayout
    selection: LayerSelection
    heads: tuple[str, ...]  # the head if it is a linear layer
    inputs: Mapping[str, LayerInput]


def network_walk(job: Job) -> NetworkWalk:
    """The walk through the job's network. Cells that differ in their method share one."""
    cell = replace(job.cell, id="", method="vanilla", method_options=())
    plain = replace(job, cell=cell, methods=(("vanilla", {}),), ranks=None, created_ns=0)
    return _walk(plain.to_text())


@cache
def _walk(text: str) -> NetworkWalk:
    job = Job.from_text(text)
    with fake_workload(job) as workload:
        model = workload.model
        layout = layout_of(job, model, family(job.model))
        selection = select_layers(model, job.cell.layers, layout)
        heads = _linear(model, layout.head)
        inputs = _inputs(workload, tuple(dict.fromkeys((*selection.layers, *heads))))
    return NetworkWalk(model, layout, selection, heads, inputs)


def _linear(model: nn.Module, name: str) -> tuple[str, ...]:
    """The name of the head if it is a linear layer."""
    is_linear = bool(name) and isinstance(model.get_submodule(name), nn.Linear)
    return (name,) if is_linear else ()


def _inputs(workload: Workload, names: tuple[str, ...]) -> dict[str, LayerInput]:
    """The input of each layer."""
    inputs: dict[str, LayerInput] = {}
    alive: list[Tensor] = []  # a released tensor may give its address to another one

    def hook_for(name: str) -> Any:
        def hook(_: nn.Module, arguments: tuple[Tensor, ...], named: dict[str, Tensor]) -> None:
            x = layer_input(arguments, named)
            alive.append(x)
            storage = x.untyped_storage()
            calls = inputs[name].calls + 1 if name in inputs else 1
            inputs[name] = LayerInput(
                shape=tuple(x.shape),
                needs_gradient=x.requires_grad,
                storage=int(storage._cdata),
                first=int(x.storage_offset()),
                whole=storage.nbytes() // x.element_size(),
                calls=calls,
            )

        return hook

    hooks = [
        workload.model.get_submodule(name).register_forward_pre_hook(
            hook_for(name), with_kwargs=True
        )
        for name in names
    ]
    workload.forward()
    for hook in hooks:
        hook.remove()
    return inputs
