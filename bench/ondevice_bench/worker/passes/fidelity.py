"""The fidelity pass: a method's weight gradients compared with plain training's.

The method trains some steps as in any other pass. At its first and after its last step, a plain
network gets the method's weights (`L R` for factored weights). Then both compute their gradients on
the same batch, and draw the same random numbers. The gradients of the first step are also compared
with those of the original network before the method. This comparison includes the error of
truncated weights.

Two checks come with the numbers. The plain network computes its gradients twice from the same
state: if the two differ, a difference between method and plain training says nothing. And factored
weights must get the update that the gradient asks for: a gradient that is not applied is worth
nothing. A number that fails a check is unavailable, with the reason.
"""

import copy
import math
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any, Literal

import torch
from torch import Tensor, nn

from ondevice_bench.measure.fidelity import FactoredStep, Similarity, similarity
from ondevice_bench.measure.removable_hooks import hooked
from ondevice_bench.methods.applied_gradient import is_applied
from ondevice_bench.methods.lowrank import LowRankLayer
from ondevice_bench.metrics.learning import NOT_FINITE
from ondevice_bench.protocol.job import Job, PassResult
from ondevice_bench.worker.workload import Workload, build_model, load_batch

STEPS = 10
_MOMENTS = {0: "_first", STEPS: ""}
_TINY = 1e-6  # as in torch's own clipping
_REPEATED = 1 - 1e-6  # the cosine of two gradients that differ by rounding only


@dataclass(frozen=True)
class _Computed:
    """The weight gradients of the compared layers by name, and the loss."""

    gradients: Mapping[str, Tensor]
    loss: float
    draws: bool  # whether the forward drew from torch's global generator


def measure(job: Job) -> PassResult:
    """Compare gradients at the first step and after `STEPS`, and give the loss after them."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(job.cell.seed)
        return _measure(job)


def _measure(job: Job) -> PassResult:
    batch = load_batch(job)
    plain = Workload(job, batch, build_model(_vanilla(job)))
    workload = Workload(job, batch, build_model(job))
    names = _comparable_layers(workload, plain)
    initial, draws = copy.deepcopy(plain.model.state_dict()), torch.get_rng_state()
    original, again = (_reference(plain, names, initial, draws) for _ in range(2))
    itself, _ = similarity(again.gradients, original.gradients)
    similarities: dict[str, tuple[Similarity, dict[str, Similarity]]] = {}
    losses, doubts = [], [_noise(itself), _other_draws(workload, original)]
    for step in range(STEPS + 1):
        moment = _MOMENTS.get(step)
        state = {} if moment is None else _merged(workload)
        draws = torch.get_rng_state()
        computed = _gradients(workload, names if moment is not None else ())
        losses.append(computed.loss)
        if moment is not None:
            called = set(names).difference(workload.treatment.not_called)
            reference = _reference(plain, names, state, draws)
            similarities[moment] = _similarity(computed, reference, called)
            if step == 0:
                similarities["_original"] = _similarity(computed, original, called)
        doubts.append(_update(workload, computed.gradients))
    result = _result(job, names, similarities, losses, itself, next(filter(None, doubts), None))
    return replace(result, details={**result.details, "notes": workload.treatment.notes()})


def _result(
    job: Job,
    names: tuple[str, ...],
    similarities: Mapping[str, tuple[Similarity, dict[str, Similarity]]],
    losses: list[float],
    itself: Similarity,
    doubt: str | None,
) -> PassResult:
    """The numbers. With a doubt, none of the gradients is shown as the method's."""
    values = {
        f"gradient_{kind}{moment}": None if doubt else getattr(whole, kind)
        for moment, (whole, _) in similarities.items()
        for kind in ("cosine", "error")
    }
    values["loss_after_steps"] = losses[-1] if math.isfinite(losses[-1]) else None
    undefined = f"{job.cell.method} trains other parameters than the weights of these layers"
    if names:
        undefined = doubt or "a gradient was zero, or not finite"
    reasons = {"loss_after_steps": NOT_FINITE}
    shown = {} if doubt else similarities
    return PassResult(
        metrics={name: value for name, value in values.items() if value is not None},
        unavailable={
            name: reasons.get(name, undefined) for name, value in values.items() if value is None
        },
        details={
            "steps": STEPS,
            "losses": [loss if math.isfinite(loss) else None for loss in losses],
            "plain_against_itself": asdict(itself),
            "layers": {
                moment or "_after": {name: asdict(each) for name, each in layers.items()}
                for moment, (_, layers) in shown.items()
            },
        },
    )


def _noise(itself: Similarity) -> str | None:
    """The reason if plain training does not repeat its own gradients."""
    if itself.cosine is None or itself.cosine >= _REPEATED:
        return None
    return (
        f"vanilla training against itself reaches a cosine of only {itself.cosine:.6f}: the "
        "network draws random numbers that cannot be repeated, or changes with every forward"
    )


def _other_draws(workload: Workload, plain: _Computed) -> str | None:
    """The reason if slices of the batch cannot draw the random numbers of the whole batch."""
    if workload.parts == 1 or not plain.draws:
        return None
    return (
        f"the network draws random numbers, as dropout does: the {workload.parts} slices of the "
        "batch draw others than the whole batch"
    )


def _similarity(
    computed: _Computed, reference: _Computed, called: Collection[str]
) -> tuple[Similarity, dict[str, Similarity]]:
    """The similarity of the layers that were called. A method changes no others."""
    gradients = {name: each for name, each in reference.gradients.items() if name in called}
    return similarity(computed.gradients, gradients)


def _vanilla(job: Job) -> Job:
    """The job with plain training of the same network and the same frozen layers."""
    return replace(job, methods=(("ondevice_bench.methods.vanilla:Vanilla", {}),), ranks=None)


def _comparable_layers(workload: Workload, plain: Workload) -> tuple[str, ...]:
    """The layers whose weight gradients can be compared."""
    treated = [report.name for report in workload.treatment.report()]
    if treated:
        return tuple(name for name in treated if _trains_its_weight(workload, name))
    trained = tuple(
        name
        for name, module in plain.model.named_modules()
        if isinstance(module, (nn.Linear, nn.Conv2d)) and _trains_its_weight(plain, name)
    )
    # a method that freezes some of them trains something else: the rest says nothing about it
    return trained if all(_trains_its_weight(workload, name) for name in trained) else ()


def _trains_its_weight(workload: Workload, name: str) -> bool:
    layer = workload.model.get_submodule(name)
    if isinstance(layer, LowRankLayer):
        return layer.left.requires_grad
    return workload.treatment.trained_weight(name) is not None


def _merged(workload: Workload) -> dict[str, Tensor]:
    """The method's current weights, as the state of a plain network."""
    return copy.deepcopy(workload.treatment).merge().state_dict()


def _reference(
    plain: Workload, names: tuple[str, ...], state: Mapping[str, Tensor], draws: Tensor
) -> _Computed:
    """What plain training computes from this state of its network and of the random numbers."""
    plain.model.load_state_dict(state)
    with torch.random.fork_rng(devices=[]):
        torch.set_rng_state(draws)
        return _gradients(plain, names)


def _gradients(workload: Workload, names: tuple[str, ...]) -> _Computed:
    """One forward and backward. A layer that took no part in it has no gradient."""
    workload.optimizer.zero_grad()
    total, draws = 0.0, False
    with (
        _dense_gradients(workload.model, names) as dense,
        _freed_gradients(workload, names) as freed,
    ):
        for part in range(workload.parts):
            before = torch.get_rng_state()
            loss = workload.forward(part)
            draws = draws or not torch.equal(before, torch.get_rng_state())
            workload.backward(loss)
            total += loss.item()
    plain = (name for name in names if name not in dense)
    stored = {name: _stored_gradient(workload, name) for name in plain}
    kept = {name: gradient for name, gradient in stored.items() if gradient is not None}
    return _Computed(dense | freed | kept, total, draws)


@contextmanager
def _freed_gradients(workload: Workload, names: tuple[str, ...]) -> Iterator[dict[str, Tensor]]:
    """The gradients of weights that backward updates and frees, as they arrive at the weights."""
    freed: dict[str, Tensor] = {}

    def keep(name: str, gradient: Tensor) -> None:
        found = gradient.detach().clone()
        freed[name] = freed[name] + found if name in freed else found

    weights = {name: workload.treatment.trained_weight(name) for name in names}
    hooks = [
        weight.register_hook(partial(keep, name))
        for name, weight in weights.items()
        if weight is not None and workload.treatment.updates_in_backward
    ]
    with hooked(hooks):
        yield freed


def _stored_gradient(workload: Workload, name: str) -> Tensor | None:
    weight = workload.treatment.trained_weight(name)  # None: it trains in factors
    found = None if weight is None else weight.grad
    return None if found is None or is_applied(found) else found.detach().clone()


def _update(workload: Workload, gradients: Mapping[str, Tensor]) -> str | None:
    """Update the weights; the reason if a factored weight did not get the update of its gradient.

    The gradients are those of the compared layers; with none, nothing is checked.
    """
    expected = _expected_steps(workload, gradients)
    workload.update()
    for name, step in expected.items():
        layer = workload.model.get_submodule(name)
        assert isinstance(layer, LowRankLayer)
        error = step.error(layer.left.detach(), layer.right.detach())
        if error:
            return (
                f"{name}: the update that was applied is not the one of the gradient: it differs "
                f"by {error:.2g} of the change"
            )
    return None


def _expected_steps(workload: Workload, gradients: Mapping[str, Tensor]) -> dict[str, FactoredStep]:
    """The next step of each layer that updates its factors by a subspace iteration."""
    layers = {name: workload.model.get_submodule(name) for name in gradients}
    factored = {
        name: layer
        for name, layer in layers.items()
        if isinstance(layer, LowRankLayer) and layer.update != "factors"
    }
    if not factored:
        return {}
    train = workload.train
    repeated = {layer.pending.norm for layer in factored.values() if layer.pending is not None}
    plain = [p.grad for p in workload.trained if p.grad is not None and p not in repeated]
    norm = math.hypot(
        *(float(torch.linalg.vector_norm(each.double())) for each in plain),
        *(float(torch.linalg.vector_norm(gradients[name].double())) for name in factored),
    )
    shrink = 1.0 if train.clip is None else min(1.0, train.clip / (norm + _TINY))
    return {
        name: FactoredStep(
            left=layer.left.detach().clone(),
            right=layer.right.detach().clone(),
            gradient=gradients[name],
            decay=1 - train.lr * train.weight_decay,
            rate=train.lr * shrink,
            basis=_basis(layer),
        )
        for name, layer in factored.items()
    }


def _basis(layer: LowRankLayer) -> Literal["iterated", "decomposed", "kept"]:
    """Where L comes from in the next update."""
    if not layer.schedule.is_due:
        return "kept"
    return "iterated" if layer.update == "subspace" else "decomposed"


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
