"""The layers pass: the numbers of `bench show model`, from fake tensors without computing."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn

from ondevice_bench.measure.activations import saved_in_forward, storage_bytes
from ondevice_bench.measure.removable_hooks import hooked
from ondevice_bench.models.families import family
from ondevice_bench.models.layers import (
    NoSuchLayers,
    block_names,
    counted_names,
    layer_input,
    select_layers,
)
from ondevice_bench.protocol.job import Job, PassResult
from ondevice_bench.specs.layout import ModelLayout
from ondevice_bench.worker.fake_workload import fake_workload
from ondevice_bench.worker.workload import layout_of

WORDS = ("all", "conv", "mlp", "attention")


def measure(job: Job) -> PassResult:
    """Every linear and convolution with shapes and bytes, and the bytes of all other modules."""
    with fake_workload(job) as workload:
        model = workload.model
        with _layer_calls(model) as calls:
            _, storages = saved_in_forward(workload, model)
    layout = layout_of(job, model, family(job.model))
    layers = {
        name: module
        for name, module in model.named_modules()
        if isinstance(module, (nn.Linear, nn.Conv2d))
    }
    saved: dict[str | None, int] = {}
    for storage in storages:
        saved[storage.site.module] = saved.get(storage.site.module, 0) + storage.size
    chosen_by = _choices(model, layout)
    rows = [
        {
            "name": name,
            "kind": "conv2d" if isinstance(layer, nn.Conv2d) else "linear",
            "weight": list(layer.weight.shape),
            "input": calls[name][0][0] if name in calls else None,
            "parameters": sum(p.numel() for p in layer.parameters()),
            "forward_flops": sum(_flops(layer, output) for _, output in calls.get(name, [])),
            "activation_bytes": saved.get(name, 0),
            "chosen_by": chosen_by.get(name, []),
        }
        for name, layer in layers.items()
    ]
    others: dict[str, int] = {}
    for name, size in saved.items():
        if name not in layers:
            kind = "loss" if name is None else type(model.get_submodule(name)).__name__
            others[kind] = others.get(kind, 0) + size
    return PassResult(
        metrics={
            "activation_bytes": sum(saved.values()),
            "parameter_bytes": storage_bytes(model.parameters()),
            "parameters": sum(p.numel() for p in model.parameters()),
        },
        details={"layers": rows, "others": others, "head": layout.head},
    )


@contextmanager
def _layer_calls(model: nn.Module) -> Iterator[dict[str, list[tuple[list[int], list[int]]]]]:
    """The shapes of the input and the output of each call of each layer."""
    calls: dict[str, list[tuple[list[int], list[int]]]] = {}

    def note(name: str) -> Any:
        def hook(
            _: nn.Module, inputs: tuple[Tensor, ...], named: dict[str, Tensor], output: Tensor
        ) -> None:
            shapes = list(layer_input(inputs, named).shape), list(output.shape)
            calls.setdefault(name, []).append(shapes)

        return hook

    hooks = [
        module.register_forward_hook(note(name), with_kwargs=True)
        for name, module in model.named_modules()
        if isinstance(module, (nn.Linear, nn.Conv2d))
    ]
    with hooked(hooks):
        yield calls


def _flops(layer: nn.Linear | nn.Conv2d, output: list[int]) -> int:
    """Two for each multiply-add, without the bias."""
    return 2 * math.prod(output) * layer.weight[0].numel()


def _choices(model: nn.Module, layout: ModelLayout) -> dict[str, list[str]]:
    """By layer, the words of `layers` that choose it; for counts, the smallest that does."""
    words_by_layer: dict[str, list[str]] = {}
    for word in WORDS:
        for name in _chosen(model, word, layout):
            words_by_layer.setdefault(name, []).append(word)
    for place, name in enumerate(reversed(counted_names(model, layout)), 1):
        words_by_layer.setdefault(name, []).append(f"last:{place}")
    blocks = list(reversed(block_names(model, layout)))
    for name, words in words_by_layer.items():
        for place, block in enumerate(blocks, 1):
            if name.startswith(f"{block}."):
                words.append(f"last_blocks:{place}")
    return words_by_layer


def _chosen(model: nn.Module, words: str, layout: ModelLayout) -> tuple[str, ...]:
    try:
        return select_layers(model, words, layout).layers
    except NoSuchLayers:
        return ()
