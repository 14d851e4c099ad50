"""The fidelity pass: a method's weight gradients compared with plain training's.

The method trains some steps as in any other pass. At its first and after its last step, a plain
network gets the method's weights (`L R` for factored weights). Then both compute their gradients on
the same batch. The gradients of the first step are also compared with those of the original
network before the method. This comparison includes the error of truncated weights.
"""

import copy
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from typing import Any

import torch
from torch import Tensor, nn

from ondevice_bench.measure.fidelity import Similarity, similarity
from ondevice_bench.methods.lowrank import LowRankLayer
from ondevice_bench.protocol.job import Job, PassResult
from ondevice_bench.worker.workload import Workload, build_model, load_batch

STEPS = 10
_MOMENTS = {0: "_first", STEPS: ""}


def measure(job: Job) -> PassResult:
    """Compare gradients at the first step and after `STEPS`, and give the loss after them."""
    batch = load_batch(job)
    plain = Workload(job, batch, build_model(_vanilla(job)))
    workload = Workload(job, batch, build_model(job))
    names = _comparable_layers(workload, plain)
    original, _ = _gradients(plain, names)
    similarities: dict[str, tuple[Similarity, dict[str, Similarity]]] = {}
    losses = []
    for step in range(STEPS + 1):
        moment = _MOMENTS.get(step)
        if moment is not None:
            plain.model.load_state_dict(_merged(workload))
        gradients, loss = _gradients(workload, names if moment is not None else ())
        losses.append(loss)
        if moment is not None:
            similarities[moment] = similarity(gradients, _gradients(plain, names)[0])
        if step == 0:
            similarities["_original"] = similarity(gradients, original)
        workload.update()
    values = {
        f"gradient_{kind}{moment}": getattr(whole, kind)
        for moment, (whole, _) in similarities.items()
        for kind in ("cosine", "error")
    }
    values["loss_after_steps"] = losses[-1] if math.isfinite(losses[-1]) else None
    undefined = f"{job.cell.method} trains other parameters than the weights of these layers"
    if names:
        undefined = "a gradient was zero, or not finite"
    reasons = {"loss_after_steps": "the loss was not finite"}
    return PassResult(
        metrics={name: value for name, value in values.items() if value is not None},
        unavailable={
            name: reasons.get(name, undefined) for name, value in values.items() if value is None
        },
        details={
            "steps": STEPS,
            "losses": [loss if math.isfinite(loss) else None for loss in losses],
            "layers": {
                moment or "_after": {name: asdict(each) for name, each in layers.items()}
                for moment, (_, layers) in similarities.items()
            },
        },
    )


def _vanilla(job: Job) -> Job:
    """The job with plain training of the same network and the same frozen layers."""
    return replace(job, methods=(("ondevice_bench.methods.vanilla:Vanilla", {}),), ranks=None)


def _comparable_layers(workload: Workload, plain: Workload) -> tuple[str, ...]:
    """The layers whose weight gradients can be compared."""
    treated = [report.name for report in workload.treatment.report()]
    if treated:
        layers = [(name, workload.model.get_submodule(name)) for name in treated]
        return tuple(name for name, layer in layers if _trains_its_weight(layer))
    return tuple(
        name
        for name, module in plain.model.named_modules()
        if isinstance(module, (nn.Linear, nn.Conv2d)) and module.weight.requires_grad
    )


def _trains_its_weight(layer: nn.Module) -> bool:
    weight = dict(layer.named_parameters(recurse=False)).get("weight")
    return isinstance(layer, LowRankLayer) or (weight is not None and weight.requires_grad)


def _merged(workload: Workload) -> dict[str, Tensor]:
    """The method's current weights, as the state of a plain network."""
    return copy.deepcopy(workload.treatment).merge().state_dict()


def _gradients(workload: Workload, names: tuple[str, ...]) -> tuple[dict[str, Tensor], float]:
    """One forward and backward; the weight gradients of the layers by name, and the loss."""
    workload.optimizer.zero_grad()
    total = 0.0
    with _dense_gradients(workload.model, names) as dense:
        for part in range(workload.parts):
            loss = workload.forward(part)
            workload.backward(loss)
            total += loss.item()
    weight_gradients = {}
    for name in names:
        if name in dense:
            weight_gradients[name] = dense[name]
            continue
        gradient = workload.model.get_submodule(name).weight.grad
        assert isinstance(gradient, Tensor)
        weight_gradients[name] = gradient.detach().clone()
    return weight_gradients, total


@contextmanager
def _dense_gradients(model: nn.Module, names: tuple[str, ...]) -> Iterator[dict[str, Tensor]]:
    """The gradients of factored weights as dense matrices, which a step never forms."""
    dense: dict[str, Tensor] = {}

    def wrap(name: str, layer: LowRankLayer, original: Callable[..., Any]) -> Any:
        def weight_gradient(saved: Any, dy: Tensor, *others: Any) -> Any:
            with torch.no_grad():
                gradient = layer.dense_gradient(saved, dy)
            dense[name] = dense[name] + gradient if name in dense else gradient
            return original(saved, dy, *others)

        return weight_gradient

    layers = [(name, model.get_submodule(name)) for name in names]
    factored = [(name, layer) for name, layer in layers if isinstance(layer, LowRankLayer)]
    for name, layer in factored:
        layer.weight_gradient = wrap(name, layer, layer.weight_gradient)  # type: ignore[method-assign]  # replaced on purpose, for the block
    try:
        yield dense
    finally:
        for _, layer in factored:
            del layer.weight_gradient
