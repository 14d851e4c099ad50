"""The account pass, for `bench account`: it needs only shapes and ranks, no numbers."""

import math
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from torch import nn

from ondevice_bench.methods.layer_flops import LayerFlops, Sizes, plain_flops
from ondevice_bench.methods.method import LayerMethod, Method, activation_ranks, select_modes
from ondevice_bench.methods.method_mix import entries_of, selections
from ondevice_bench.methods.ranks import RankChoice, RankRules, Ranks
from ondevice_bench.methods.refusals import (
    NOT_CALLED,
    NOT_IN_TABLE,
    applies_to_none,
    of_no_known_kind,
    shared_weights,
    why_not,
)
from ondevice_bench.models.layers import LayerSelection
from ondevice_bench.papers.counting import FormulaCount, filtering
from ondevice_bench.papers.counting.accounting import (
    ACCOUNTED,
    STORE_THE_INPUT,
    LayerAccount,
    account,
    vanilla_account,
)
from ondevice_bench.papers.counting.comparison import compare, plain
from ondevice_bench.papers.counting.network_walk import LayerInput, network_walk
from ondevice_bench.papers.dialects import DIALECTS
from ondevice_bench.protocol.job import Job, PassResult
from ondevice_bench.specs.composition import names
from ondevice_bench.specs.layout import ModelLayout
from ondevice_bench.specs.rank_rules import WEIGHT
from ondevice_bench.worker.worker import perform
from ondevice_bench.worker.workload import by_layers

PLAIN = "vanilla"
_OF_NO_ENTRY = "is in no entry of the mix"
_CALLED_AGAIN = "is called {} times in a forward, and an account is of one call"


@dataclass(frozen=True)
class _Method:
    """The method of a layer, its name, and its rules for ranks."""

    name: str
    method: Method
    rules: RankRules


def measure(job: Job) -> PassResult:
    """The account of every layer that the method changes, and of the same layers in vanilla."""
    walk = network_walk(job)
    model, inputs = walk.model, walk.inputs
    methods = _methods(job, model, walk.selection, walk.layout)
    layers = {name: model.get_submodule(name) for name in walk.selection.layers}
    others = of_no_known_kind(model, walk.selection.others)
    accounts, refusals = _accounts(job, methods, layers, inputs, others, shared_weights(model))
    plain = {name: _plain_account(layers[name], inputs[name]) for name in accounts}
    sharing = {name for name in accounts if methods[name].name in STORE_THE_INPUT}
    heads = _heads(model, walk.heads, inputs)
    return PassResult(
        metrics=_bytes(accounts, layers, inputs, sharing),
        details={
            **_counts(job.cell.method, accounts, heads),
            "layers": {
                name: {
                    "activation_elements": each.activation_elements,
                    "weight_elements": each.weight_elements,
                    "work": None if each.work is None else asdict(each.work),
                }
                for name, each in accounts.items()
            },
            "left_alone": refusals,
            "plain": {
                **_bytes(plain, layers, inputs, set(plain)),
                **_counts(PLAIN, plain, heads),
            },
        },
    )


def answer(request: Mapping[str, Any]) -> dict[str, Any]:
    """The reply to the job of one account, among many that this process makes."""
    return {"reply": perform(Job.from_text(request["job"])).to_text()}


def _methods(
    job: Job, model: nn.Module, selection: LayerSelection, layout: ModelLayout
) -> dict[str, _Method]:
    """The method of each layer. In a mix, a layer may have none."""
    entries = entries_of(by_layers(job.methods), {})
    chosen = selections(model, entries, selection, layout)
    found: dict[str, _Method] = {}
    for name, entry, own in zip(names(job.cell.method), entries, chosen, strict=True):
        ((method, rules),) = entry.methods
        found |= dict.fromkeys(own.layers, _Method(name, method, rules))
    return found


def _bytes(
    accounts: Mapping[str, LayerAccount],
    layers: Mapping[str, nn.Module],
    inputs: Mapping[str, LayerInput],
    sharing: Collection[str],
) -> dict[str, float]:
    """The bytes of all layers. A weight that several layers share counts once."""
    activations = sum(each.activation_bytes for each in accounts.values())
    by_weight = {id(layers[name].weight): each.weight_elements for name, each in accounts.items()}
    weights = sum(by_weight.values()) * ACCOUNTED.itemsize
    return {
        "activation_bytes": activations,
        "weight_bytes": weights,
        "training_bytes": activations + weights,
        "inference_bytes": weights,
        "stored_bytes": _stored(accounts, inputs, sharing),
    }


def _stored(
    accounts: Mapping[str, LayerAccount],
    inputs: Mapping[str, LayerInput],
    sharing: Collection[str],
) -> int:
    """The bytes that are really stored. The inputs of the `sharing` layers are unchanged.

    Such an input counts once for all layers that have it. Parts of one tensor are together at most
    the whole tensor.
    """
    total = sum(each.stored_bytes for each in accounts.values())
    views: dict[int, dict[tuple[int, int], int]] = {}
    for name in sharing:
        x, elements = inputs[name], math.prod(inputs[name].shape)
        total -= elements * ACCOUNTED.itemsize
        views.setdefault(x.storage, {})[x.first, elements] = x.whole
    for parts in views.values():
        elements = sum(count for _, count in parts)
        kept = elements if len(parts) == 1 else min(elements, *parts.values())
        total += kept * ACCOUNTED.itemsize
    return total


def _counts(
    method: str,
    accounts: Mapping[str, LayerAccount],
    heads: Mapping[str, tuple[tuple[FormulaCount, ...], LayerFlops]],
) -> dict[str, Any]:
    """The FLOPs of all layers with the method: the exact ones, and those of each dialect."""
    works = [each.work for each in accounts.values()]
    return {
        "flops": None if None in works else _total([w for w in works if w is not None]),
        "dialects": {
            dialect: _by_dialect(dialect, accounts, heads if spec.with_head else {})
            for dialect, spec in DIALECTS.items()
            if method in spec.methods
        },
    }


def _heads(
    model: nn.Module, names: tuple[str, ...], inputs: Mapping[str, LayerInput]
) -> dict[str, tuple[tuple[FormulaCount, ...], LayerFlops]]:
    """The row of the head, with the exact count of its backward."""
    counted: dict[str, tuple[tuple[FormulaCount, ...], LayerFlops]] = {}
    for name in names:
        if name in inputs:
            sizes = Sizes.from_layer(model.get_submodule(name), inputs[name].shape)
            work = replace(plain_flops(sizes), forward=0, inference=0)
            row = filtering.head(sizes.positions, sizes.inputs, sizes.outputs)
            counted[name] = ((row,), work)
    return counted


def _by_dialect(
    dialect: str,
    accounts: Mapping[str, LayerAccount],
    heads: Mapping[str, tuple[tuple[FormulaCount, ...], LayerFlops]],
) -> dict[str, Any]:
    """The FLOPs that the dialect counts, and the reason for each layer that it does not count."""
    rows_by_layer = {name: each.published[dialect] for name, each in accounts.items()}
    counted = [
        (rows, each.work)
        for name, each in accounts.items()
        if not isinstance(rows := rows_by_layer[name], str) and each.work is not None
    ]
    return {
        "lines": plain(compare([*counted, *heads.values()])),
        "not_counted": {
            name: why
            for name, why in rows_by_layer.items()
            if isinstance(why, str) and name not in heads
        },
    }


def _accounts(
    job: Job,
    methods: Mapping[str, _Method],
    layers: dict[str, nn.Module],
    inputs: Mapping[str, LayerInput],
    others: dict[str, str],
    shared: Mapping[str, str],
) -> tuple[dict[str, LayerAccount], dict[str, str]]:
    """The account of each layer, and the reason for each layer that does not change.

    `others` has the reasons of modules that are no such layers, `shared` those of layers whose
    weight other modules have, too.
    """
    accounts: dict[str, LayerAccount] = {}
    refusals = dict(others)
    for layer_name, layer in layers.items():
        if layer_name not in inputs:
            refusals[layer_name] = NOT_CALLED
            continue
        if (calls := inputs[layer_name].calls) > 1:
            refusals[layer_name] = _CALLED_AGAIN.format(calls)
            continue
        if layer_name not in methods:
            refusals[layer_name] = _OF_NO_ENTRY
            continue
        of_layer = methods[layer_name]
        name, method, rules = of_layer.name, of_layer.method, of_layer.rules
        shape = inputs[layer_name].shape
        if not isinstance(method, LayerMethod):
            accounts[layer_name] = _plain_account(layer, inputs[layer_name])
            continue
        reason = None if method.keeps_weight else shared.get(layer_name)
        reason = reason or _refusal(job, method, layer_name, layer)
        if reason is not None:
            refusals[layer_name] = reason
            continue
        choice = RankChoice(layer_name, rules, _table(job, method, layer_name))
        each = account(name, method, layer, shape, _ranks(method, choice, layer, shape))
        accounts[layer_name] = _as_called(each, inputs[layer_name])
    if not accounts:
        raise applies_to_none(job.cell.method, refusals)
    return accounts, refusals


def _plain_account(layer: nn.Module, x: LayerInput) -> LayerAccount:
    return _as_called(vanilla_account(layer, x.shape), x)


def _as_called(each: LayerAccount, x: LayerInput) -> LayerAccount:
    """The account of the layer with its input in this network."""
    return each if x.needs_gradient else each.without_input_gradient


def _refusal(job: Job, method: LayerMethod, name: str, layer: nn.Module) -> str | None:
    """Why the method does not change the layer."""
    if job.ranks is not None and name not in job.ranks:
        return NOT_IN_TABLE
    return why_not(method, layer)


def _table(job: Job, method: LayerMethod, name: str) -> Ranks | None:
    """The layer's ranks from a table of trained ranks, if the cell uses one."""
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
