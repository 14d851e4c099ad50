"""The account pass: what `bench account` prints, from shapes and ranks, computing nothing."""

from dataclasses import asdict, replace
from typing import Any

from torch import Tensor, nn

from bench.methods.accounting import Accounted, account, vanilla_account
from bench.methods.ranks import ACTIVATION, WEIGHT, Choice, Ranks
from bench.methods.treatment import (
    NOT_IN_TABLE,
    DoesNotApply,
    LayerMethod,
    activation_ranks,
    make,
    of_modes,
)
from bench.methods.work import Work
from bench.models.family import family
from bench.models.layers import choose
from bench.run.fake_workload import fake_workload
from bench.run.job import Findings, Job
from bench.run.workload import Workload, layout_of

ELEMENT_BYTES = 4  # accounts are in float32, whatever is trained


def measure(job: Job) -> Findings:
    """Account for every layer that the method treats."""
    with fake_workload(replace(job, methods=(("vanilla", {}),), ranks=None)) as workload:
        model = workload.model
        chosen = choose(model, job.cell.layers, layout_of(job, model, family(job.model)))
        seen = _inputs(workload, chosen.treated)
    layers = {name: model.get_submodule(name) for name in chosen.treated if name in seen}
    found, refused = _accounts(job, layers, seen)
    works = [each.work for each in found.values()]
    activations = sum(each.activation_elements for each in found.values()) * ELEMENT_BYTES
    weights = sum(each.weight_elements for each in found.values()) * ELEMENT_BYTES
    return Findings(
        metrics={
            "activation_bytes": activations,
            "weight_bytes": weights,
            "training_bytes": activations + weights,
            "inference_bytes": weights,
        },
        details={
            "flops": None if None in works else _total([w for w in works if w is not None]),
            "layers": {name: asdict(each) for name, each in found.items()},
            "left_alone": refused,
        },
    )


def _inputs(workload: Workload, names: tuple[str, ...]) -> dict[str, tuple[tuple[int, ...], bool]]:
    """The shape of each layer's input, and whether a gradient flows back through it."""
    seen: dict[str, tuple[tuple[int, ...], bool]] = {}

    def noting(name: str) -> Any:
        def hook(_: nn.Module, inputs: tuple[Tensor, ...]) -> None:
            seen[name] = (tuple(inputs[0].shape), inputs[0].requires_grad)

        return hook

    hooks = [
        workload.model.get_submodule(name).register_forward_pre_hook(noting(name)) for name in names
    ]
    workload.forward()
    for hook in hooks:
        hook.remove()
    return seen


def _accounts(
    job: Job, layers: dict[str, nn.Module], seen: dict[str, tuple[tuple[int, ...], bool]]
) -> tuple[dict[str, Accounted], dict[str, str]]:
    """The account of each layer, and the reasons of those that are left alone."""
    name = job.cell.method
    method, rules = make(*job.methods[0])
    found: dict[str, Accounted] = {}
    refused: dict[str, str] = {}
    for layer_name, layer in layers.items():
        shape, flows_back = seen[layer_name]
        if not isinstance(method, LayerMethod):
            each = vanilla_account(layer, shape)
        elif (reason := _refusal(job, method, layer_name, layer)) is not None:
            refused[layer_name] = reason
            continue
        else:
            choice = Choice(
                layer_name, rules[ACTIVATION], rules[WEIGHT], _table(job, method, layer_name)
            )
            each = account(name, method, layer, shape, _ranks(method, choice, layer, shape))
        if each.work is not None and not flows_back:
            each = replace(each, work=replace(each.work, input_gradient=0))
        found[layer_name] = each
    if not found:
        said = "; ".join(f"{name} {why}" for name, why in list(refused.items())[:3])
        raise DoesNotApply(f"{name} applies to none of the chosen layers: {said}")
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
    return of_modes(method, Ranks(tuple(numbers["activation"]), numbers["weight"]))


def _ranks(method: LayerMethod, choice: Choice, layer: nn.Module, shape: tuple[int, ...]) -> Ranks:
    ranked: frozenset[str] = getattr(method, "ranked", frozenset())
    weight = None
    if WEIGHT in ranked:
        assert isinstance(layer, (nn.Linear, nn.Conv2d))
        weight = choice.of_weight(layer.weight.detach().flatten(1))
    return Ranks(activation_ranks(method, choice, shape), weight)


def _total(works: list[Work]) -> dict[str, int]:
    total = sum(works, Work())
    return {**asdict(total), "training": total.training}
