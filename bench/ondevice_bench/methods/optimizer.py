"""One optimizer for plain parameters and for factored weights, with one global norm.

SGD also updates the factors of a weight by the subspace update. AdamW trains them as ordinary
parameters. Both can update each parameter in backward.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn

from ondevice_bench.errors import Refusal, not_allowed
from ondevice_bench.methods.applied_gradient import NAME
from ondevice_bench.methods.backward_update import BackwardUpdates, is_updated_in_backward
from ondevice_bench.methods.factor_update import updated
from ondevice_bench.methods.function_call import own_precision
from ondevice_bench.methods.lowrank import LowRankLayer
from ondevice_bench.methods.optimizer_guard import TreatmentOptimizer, WrongOptimizer
from ondevice_bench.methods.pending_gradient import PendingGradient
from ondevice_bench.methods.projected_update import Projection
from ondevice_bench.methods.subspace import WeightGradient
from ondevice_bench.methods.total_norm import require_whole_norms

KINDS = ("sgd", "adamw")
_TINY = 1e-6  # as in torch's own clipping
_OWN_STATE = ("clip", "projections", "_pending")  # of a copy, besides what torch copies


class MomentumRefused(ValueError):
    """The subspace update has no momentum."""


class _Optimizer(TreatmentOptimizer):
    """What both optimizers have: one norm over all gradients, and updates of one parameter."""

    clip: float | None = None
    projections: Mapping[nn.Parameter, Projection] = {}
    _backward_updates: BackwardUpdates | None = None

    @property
    def updates_in_backward(self) -> bool:
        """Whether backward updates each parameter, and frees its gradient."""
        return self._backward_updates is not None

    def makes_update_of(self, parameter: Tensor) -> bool:
        """Whether it projects the gradient of this parameter, or updates it in backward."""
        return parameter in self.projections or (
            self._backward_updates is not None and is_updated_in_backward(parameter)
        )

    def makes_subspace_update_of(self, layer: nn.Module) -> bool:
        """Not without an update of factors."""
        return False

    def update_in_backward(self, is_last_part: Callable[[], bool]) -> None:
        """Update each parameter in backward from now on."""
        self._backward_updates = BackwardUpdates(self, is_last_part)
        self._backward_updates.begin()

    def __getstate__(self) -> dict[str, Any]:
        """A copy updates as this optimizer does. Its step updates what has a gradient."""
        kept = {name: vars(self)[name] for name in _OWN_STATE if name in vars(self)}
        return {**super().__getstate__(), **kept}

    @torch.no_grad()
    def update_alone(self, parameter: nn.Parameter) -> bool:
        """Update one parameter, as `step` does. False if another optimizer may have it."""
        projection = self.projections.get(parameter)
        groups = self.param_groups
        own = next((g for g in groups if any(each is parameter for each in g["params"])), None)
        if own is None:
            return False
        alone = {**own, "params": [parameter]}
        self.param_groups = [alone if projection is None else {**alone, "weight_decay": 0.0}]
        try:
            if projection is None:
                self._plain_step()
            else:
                state, rate_and_decay = self.state[parameter], (own["lr"], own["weight_decay"])
                with own_precision():
                    projection.update(parameter, state, rate_and_decay, self._plain_step)
        finally:
            self.param_groups = groups
        return True

    def _plain_step(self) -> None:
        """The step of torch's own class."""
        raise NotImplementedError

    def _step_all(self) -> None:
        """Update all parameters: first those whose gradient is projected, then all others."""
        gradients = {}
        for parameter in self.projections:
            if parameter.grad is not None and self.update_alone(parameter):
                gradients[parameter], parameter.grad = parameter.grad, None
        self._plain_step()
        for parameter, gradient in gradients.items():
            parameter.grad = gradient

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Clear every gradient."""
        if self._backward_updates is not None:
            self._backward_updates.require_step()
        super().zero_grad(set_to_none)

    def _begin_step(self, closure: Callable[[], Any] | None) -> Any:
        """Run the closure once, as torch's own optimizers do, then clip the gradients."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        if self._backward_updates is not None:
            self._backward_updates.finish()
        self._check()
        self._clip()
        return loss

    def _end_step(self) -> None:
        """After all updates."""
        if self._backward_updates is not None:
            self._backward_updates.end_step()

    def _check(self) -> None:
        """A Refusal before an update that would not be that of the gradients and the options."""

    def _clip(self) -> None:
        """Bring the global norm to `clip`, if there is one and the norm is larger."""
        gradients = [
            p.grad for group in self.param_groups for p in group["params"] if p.grad is not None
        ]
        if self.clip is None or not gradients:
            return
        norm = torch.linalg.vector_norm(
            torch.stack([torch.linalg.vector_norm(each).double() for each in gradients])
        )
        shrink: Tensor = (self.clip / (norm + _TINY)).clamp(max=1.0)
        for each in gradients:
            each.mul_(shrink)


class LowRankSGD(_Optimizer, torch.optim.SGD):
    """SGD that also updates factored layers, by the subspace update from their own gradients.

    What a loop does to the gradients of all parameters, it does to those of factored weights, too:
    see `PendingGradient`. A factored layer has the options of the group that has its factors.
    """

    def __init__(
        self,
        parameters: Sequence[nn.Parameter],
        low_rank: Sequence[LowRankLayer],
        *,
        lr: float,
        weight_decay: float = 0.0,
        clip: float | None = None,
        momentum: float = 0.0,
    ) -> None:
        self._pending = {layer: layer.pending for layer in low_rank if layer.pending is not None}
        self._refuse_momentum(momentum)
        super().__init__(parameters, lr=lr, momentum=momentum, weight_decay=weight_decay)
        self.clip = clip
        require_whole_norms(self)

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)  # type: ignore[no-untyped-call]  # torch has no types here
        require_whole_norms(self)

    def pending_gradients(self) -> Iterable[PendingGradient]:
        """Those of the layers with a subspace update."""
        return self._pending.values()

    def makes_subspace_update_of(self, layer: nn.Module) -> bool:
        """Whether the layer is one of the treatment, with a subspace update."""
        return layer in self._pending

    def _refuse_momentum(self, momentum: float) -> None:
        if momentum and self._pending:
            otherwise = next(iter(self._pending.values())).otherwise
            raise MomentumRefused(
                "momentum needs a state in factor space, which the subspace update does not have: "
                f"use momentum 0, or {otherwise} (a schedule: `cycle_momentum=False`)"
            )

    def _groups(self) -> dict[int, Mapping[str, Any]]:
        """The group of each parameter, by its id."""
        return {id(each): group for group in self.param_groups for each in group["params"]}

    def _held(self) -> dict[LowRankLayer, Mapping[str, Any]]:
        """The layers whose factors this optimizer has, with the group of each."""
        groups = self._groups()
        return {each: groups[id(each.left)] for each in self._pending if id(each.left) in groups}

    def _check(self) -> None:
        """Refuse momentum of a schedule, changed factors, and gradients of the factors alone."""
        for group in self.param_groups:
            self._refuse_momentum(group["momentum"])
        groups = self._groups()
        for layer, pending in self._pending.items():
            if id(layer.left) in groups:
                pending.require_own_factors()
            if not layer.left.requires_grad:  # R may train alone, as an ordinary parameter
                continue
            if (id(layer.left) in groups) != (id(pending.norm) in groups):
                raise WrongOptimizer(
                    f"{pending.name}: this optimizer has the factors or `pending.norm`, but not "
                    "both: `pending.norm` has the norm of their gradient, so give it both"
                )
            if id(layer.left) in groups:
                pending.require_no_other(layer.left, layer.right)

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Clip the norm over all gradients, then update all parameters.

        A closure runs one time before the update, as in torch's own SGD.
        """
        loss = self._begin_step(closure)
        held = self._held()
        taken = {layer: self._pending[layer].take() for layer in held}
        self._step_all()
        for layer, found in taken.items():
            pending = self._pending[layer]
            if found is None:
                pending.end_step()
            else:
                with own_precision():
                    _update_factors(layer, *found, held[layer])
                pending.count_update()
        self._end_step()
        return loss

    def _plain_step(self) -> None:
        _without_hooks(torch.optim.SGD.step)(self)

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Clear every gradient of this optimizer, also those of factored weights."""
        super().zero_grad(set_to_none)
        for layer in self._held():
            self._pending[layer].clear(set_to_none=set_to_none)


class ClippedAdamW(_Optimizer, torch.optim.AdamW):
    """AdamW that clips the global norm. Betas and epsilon are torch's defaults."""

    def __init__(
        self,
        parameters: Sequence[nn.Parameter],
        *,
        lr: float,
        weight_decay: float = 0.0,
        clip: float | None = None,
    ) -> None:
        super().__init__(parameters, lr=lr, weight_decay=weight_decay)
        self.clip = clip

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Clip the norm over all gradients, then update all parameters.

        A closure runs one time before the update, as in torch's own AdamW.
        """
        loss = self._begin_step(closure)
        self._step_all()
        self._end_step()
        return loss

    def _plain_step(self) -> None:
        _without_hooks(torch.optim.AdamW.step)(self)


def _update_factors(
    layer: LowRankLayer, gradient: WeightGradient | None, scale: float, group: Mapping[str, Any]
) -> None:
    """Update in place, as each optimizer does: other code may hold the factors, or have saved them.

    A factor that an unfinished backward has saved is then refused by torch, as any weight is.
    """
    rate, decay = group["lr"], 1 - group["lr"] * group["weight_decay"]
    if group["maximize"]:
        rate = -rate
    if gradient is not None:
        left, right = updated(layer, gradient, decay, rate * scale)
        layer.left.copy_(left)
        layer.right.copy_(right)
        layer.schedule.advance()
    elif layer.right.grad is None:  # if R trains alone, it has its decay already
        layer.right.mul_(decay)


def _without_hooks(step: Callable[..., Any]) -> Callable[..., Any]:
    """The step of a class of torch's. It runs within a step of ours, which calls the hooks."""
    plain: Callable[..., Any] = getattr(step, "__wrapped__", step)
    return plain if getattr(step, "hooked", False) else step


TrainingOptimizer: TypeAlias = LowRankSGD | ClippedAdamW


def make_optimizer(
    kind: str,
    parameters: Sequence[nn.Parameter],
    low_rank: Sequence[LowRankLayer],
    *,
    lr: float,
    weight_decay: float,
    clip: float | None,
    momentum: float,
) -> TrainingOptimizer:
    """The optimizer of this kind; a Refusal if it cannot train the parameters."""
    if kind == "sgd":
        return LowRankSGD(
            parameters, low_rank, lr=lr, weight_decay=weight_decay, clip=clip, momentum=momentum
        )
    if kind != "adamw":
        raise Refusal(not_allowed("optimizer", kind, KINDS))
    if momentum:
        raise Refusal("AdamW has moments of its own: leave momentum 0")
    subspace = _first_subspace(low_rank)
    if subspace is not None:
        raise Refusal(
            f"{subspace}: the subspace update is a step of SGD: with AdamW use `update: factors`"
        )
    return ClippedAdamW(parameters, lr=lr, weight_decay=weight_decay, clip=clip)


def begin_backward_updates(
    optimizer: TrainingOptimizer,
    low_rank: Sequence[LowRankLayer],
    accumulate: int,
    is_last_part: Callable[[], bool],
) -> None:
    """Let the optimizer update each parameter in backward; a Refusal if it cannot be done so."""
    if optimizer.clip is not None:
        raise Refusal(
            f"{NAME}: the global norm is known only when all gradients exist at the same time: use "
            "clip=None"
        )
    if accumulate > 1:
        raise Refusal(
            f"{NAME}: each backward pass updates, so no gradients can be added up: compose it with "
            "microbatch in place of accumulate"
        )
    subspace = _first_subspace(low_rank)
    if subspace is not None:
        raise Refusal(
            f"{subspace}: the subspace update needs the gradients of the whole step: without "
            f"{NAME}, or with `update: factors`"
        )
    optimizer.update_in_backward(is_last_part)


def _first_subspace(low_rank: Sequence[LowRankLayer]) -> str | None:
    """The name of the first layer with a subspace update."""
    return next((layer.pending.name for layer in low_rank if layer.pending is not None), None)
