"""The fidelity pass: a method's weight gradients beside vanilla's on the same batch and weights.

The method trains some steps as in any other pass. At its first step and after them, a plain
network gets the weights that the method has then (`L R` for weights in factors), and both compute
their gradients on the batch. At the first step they are also compared with those of the network
as it was before the method: what cutting the weights costs is then included.
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
    """Compare gradients at the first step and after `STEPS`, and say the loss by then."""
    batch = load_batch(job)
    plain = Workload(job, batch, build_model(_vanilla(job)))
    workload = Workload(job, batch, build_model(job))
    names = _compared(workload, plain)
    original, _ = _gradients(plain, names)
    found: dict[str, tuple[Similarity, dict[str, Similarity]]] = {}
    losses = []
    for step in range(STEPS + 1):
        moment = _MOMENTS.get(step)
        if moment is not None:
            plain.model.load_state_dict(_merged(workload))
        gradients, loss = _gradients(workload, names if moment is not None else ())
        losses.append(loss)
        if moment is not None:
            found[moment] = similarity(gradients, _gradients(plain, names)[0])
        if step == 0:
            found["_original"] = similarity(gradients, original)
        workload.update()
    values = {
        f"gradient_{kind}{moment}": getattr(whole, kind)
        for moment, (whole, _) in found.items()
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
                for moment, (_, layers) in found.items()
            },
        },
    )


def _vanilla(job: Job) -> Job:
    """The same network, frozen alike, trained plainly."""
    return replace(job, methods=(("ondevice_bench.methods.vanilla:Vanilla", {}),), ranks=None)


def _compared(workload: Workload, plain: Workload) -> tuple[str, ...]:
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
    """The weights that the method has now, as those of a plain network."""
    return copy.deepcopy(workload.treatment).merge().state_dict()


def _gradients(workload: Workload, names: tuple[str, ...]) -> tuple[dict[str, Tensor], float]:
    """One forward and backward; the weight gradients of the layers by name, and the loss."""
    workload.optimizer.zero_grad()
    total = 0.0
    with _watched(workload.model, names) as dense:
        for part in range(workload.parts):
            loss = workload.forward(part)
            workload.backward(loss)
            total += loss.item()
    found = {}
    for name in names:
        if name in dense:
            found[name] = dense[name]
            continue
        gradient = workload.model.get_submodule(name).weight.grad
        assert isinstance(gradient, Tensor)
        found[name] = gradient.detach().clone()
    return found, total


@contextmanager
def _watched(model: nn.Module, names: tuple[str, ...]) -> Iterator[dict[str, Tensor]]:
    """The gradients of weights in factors, as matrices that no step ever forms."""
    dense: dict[str, Tensor] = {}

    def watching(name: str, layer: LowRankLayer, original: Callable[..., Any]) -> Any:
        def weight_gradient(saved: Any, dy: Tensor, *rest: Any) -> Any:
            with torch.no_grad():
                gradient = layer.dense_gradient(saved, dy)
            dense[name] = dense[name] + gradient if name in dense else gradient
            return original(saved, dy, *rest)

        return weight_gradient

    layers = [(name, model.get_submodule(name)) for name in names]
    factored = [(name, layer) for name, layer in layers if isinstance(layer, LowRankLayer)]
    for name, layer in factored:
        layer.weight_gradient = watching(name, layer, layer.weight_gradient)  # type: ignore[method-assign]  # to watch it is the purpose
    try:
        yield dense
    finally:
        for _, layer in factored:
            del layer.weight_gradient
