"""The account pass: what `bench account` prints, from shapes and ranks, computing nothing."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from torch import Tensor, nn

from ondevice_bench.methods.layer_flops import LayerFlops
from ondevice_bench.methods.make_method import make_method
from ondevice_bench.methods.method import LayerMethod, activation_ranks, select_modes
from ondevice_bench.methods.ranks import RankChoice, Ranks
from ondevice_bench.methods.treatment import NOT_IN_TABLE, applies_to_none
from ondevice_bench.models.families import family
from ondevice_bench.models.layers import select_layers
from ondevice_bench.papers.counting.accounting import (
    STORE_THE_INPUT,
    LayerAccount,
    account,
    vanilla_account,
)
from ondevice_bench.papers.counting.comparison import compare, plain
from ondevice_bench.papers.dialects import DIALECTS
from ondevice_bench.protocol.job import Job, PassResult
from ondevice_bench.specs.rank_rules import WEIGHT
from ondevice_bench.worker.fake_workload import fake_workload
from ondevice_bench.worker.workload import Workload, layout_of

ELEMENT_BYTES = 4  # accounts are in float32, whatever is trained


@dataclass(frozen=True)
class _Input:
    """What reaches a layer; layers with the same `storage` share it."""

    shape: tuple[int, ...]
    flows_back: bool  # whether a gradient does
    storage: int


def measure(job: Job) -> PassResult:
    """Account for every layer that the method treats."""
    with fake_workload(replace(job, methods=(("vanilla", {}),), ranks=None)) as workload:
        model = workload.model
        chosen = select_layers(model, job.cell.layers, layout_of(job, model, family(job.model)))
        seen = _inputs(workload, chosen.layers)
    layers = {name: model.get_submodule(name) for name in chosen.layers if name in seen}
    found, refused = _accounts(job, layers, seen)
    works = [each.work for each in found.values()]
    activations = sum(each.activation_elements for each in found.values()) * ELEMENT_BYTES
    weights = sum(each.weight_elements for each in found.values()) * ELEMENT_BYTES
    return PassResult(
        metrics={
            "activation_bytes": activations,
            "weight_bytes": weights,
            "training_bytes": activations + weights,
            "inference_bytes": weights,
            "stored_bytes": _stored(job.cell.method, found, seen) * ELEMENT_BYTES,
        },
        details={
            "flops": None if None in works else _total([w for w in works if w is not None]),
            "layers": {
                name: {
                    "activation_elements": each.activation_elements,
                    "weight_elements": each.weight_elements,
                    "work": None if each.work is None else asdict(each.work),
                }
                for name, each in found.items()
            },
            "left_alone": refused,
            "dialects": {
                dialect: _by_dialect(dialect, found)
                for dialect, spec in DIALECTS.items()
                if job.cell.method in spec.methods
            },
        },
    )


def _inputs(workload: Workload, names: tuple[str, ...]) -> dict[str, _Input]:
    """What reaches each layer."""
    seen: dict[str, _Input] = {}
    kept: list[Tensor] = []  # what is released may leave its address to another

    def noting(name: str) -> Any:
        def hook(_: nn.Module, inputs: tuple[Tensor, ...]) -> None:
            x = inputs[0]
            kept.append(x)
            storage = int(x.untyped_storage()._cdata)
            seen[name] = _Input(tuple(x.shape), x.requires_grad, storage)

        return hook

    hooks = [
        workload.model.get_submodule(name).register_forward_pre_hook(noting(name)) for name in names
    ]
    workload.forward()
    for hook in hooks:
        hook.remove()
    return seen


def _stored(method: str, found: Mapping[str, LayerAccount], seen: Mapping[str, _Input]) -> int:
    """Elements that really stay: an input that several layers store as it is lies there once."""
    total, there = 0, set[int]()
    for name, each in found.items():
        total += each.stored_elements
        if method in STORE_THE_INPUT and seen[name].storage in there:
            total -= math.prod(seen[name].shape)
        there.add(seen[name].storage)
    return total


def _by_dialect(dialect: str, found: Mapping[str, LayerAccount]) -> dict[str, Any]:
    """What the dialect counts of the layers' FLOPs, and the reasons of those that it does not."""
    books = {name: each.published[dialect] for name, each in found.items()}
    counted = [
        (rows, each.work)
        for name, each in found.items()
        if not isinstance(rows := books[name], str) and each.work is not None
    ]
    return {
        "lines": plain(compare(counted)),
        "not_counted": {name: why for name, why in books.items() if isinstance(why, str)},
    }


def _accounts(
    job: Job, layers: dict[str, nn.Module], seen: Mapping[str, _Input]
) -> tuple[dict[str, LayerAccount], dict[str, str]]:
    """The account of each layer, and the reasons of those that are left alone."""
    name = job.cell.method
    method, rules = make_method(*job.methods[0])
    found: dict[str, LayerAccount] = {}
    refused: dict[str, str] = {}
    for layer_name, layer in layers.items():
        shape = seen[layer_name].shape
        if not isinstance(method, LayerMethod):
            each = vanilla_account(layer, shape)
        elif (reason := _refusal(job, method, layer_name, layer)) is not None:
            refused[layer_name] = reason
            continue
        else:
            choice = RankChoice(layer_name, rules, _table(job, method, layer_name))
            each = account(name, method, layer, shape, _ranks(method, choice, layer, shape))
        found[layer_name] = each if seen[layer_name].flows_back else each.without_input_gradient
    if not found:
        raise applies_to_none(name, refused)
    return found, refused


def _refusal(job: Job, method: LayerMethod, name: str, layer: nn.Module) -> str | None:
    """Why the method leaves the layer alone."""
    if job.ranks is not None and name not in job.ranks:
        return NOT_IN_TABLE
    return method.applies(layer)


def _table(job: Job, method: LayerMethod, name: str) -> Ranks | None:
    """The layer's ranks from a table of trained ones, where the cell asks for that."""
    if job.ranks is None:
        return None
    numbers = job.ranks[name]
    return select_modes(method, Ranks(tuple(numbers["activation"]), numbers["weight"]))


def _ranks(
    method: LayerMethod, choice: RankChoice, layer: nn.Module, shape: tuple[int, ...]
) -> Ranks:
    weight = None
    if WEIGHT in method.ranked:
        assert isinstance(layer, (nn.Linear, nn.Conv2d))
        weight = choice.of_weight(layer.weight.detach().flatten(1))
    return Ranks(activation_ranks(method, choice, shape), weight)


def _total(works: list[LayerFlops]) -> dict[str, int]:
    total = sum(works, LayerFlops())
    return {**asdict(total), "training": total.training}
