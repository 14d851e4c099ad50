"""The norm of all gradients, as torch computes it for clipping.

With factored weights it must be of type 2: no other norm of a subspace gradient is known. And it
must be over the gradients that stand for them, which a loop may have left out.
"""

import functools
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol
from weakref import WeakSet

import torch
from torch import Tensor

from ondevice_bench.errors import Refusal
from ondevice_bench.methods.optimizer_guard import subspace_layers
from ondevice_bench.methods.pending_gradient import PendingGradient


class _SubspaceOptimizer(Protocol):
    param_groups: list[dict[str, Any]]

    def pending_gradients(self) -> Iterable[PendingGradient]:
        """Those of its factored layers."""


_optimizers: WeakSet[Any] = WeakSet()


def require_whole_norms(optimizer: _SubspaceOptimizer) -> None:
    """From now on, refuse a total norm over gradients of this optimizer without those of factors.

    It is refused only if a loop has frozen `pending.norm`: then its list of parameters may be from
    before `norm` trained again.
    """
    _optimizers.add(optimizer)


@functools.cache
def refuse_other_norms() -> None:
    """From now on, let torch compute no other norm of gradients that stand for factored weights.

    And let it clip no list that has factors without what stands for their gradient.
    Code may have imported torch's functions by name already. So not they are replaced, but the
    function that each of them calls.
    """
    utils = torch.nn.utils
    for function, check in (
        (utils.get_total_norm, _checked),
        (utils.clip_grads_with_norm_, _clipped),
    ):
        (cell,) = function.__closure__ or ()
        cell.cell_contents = check(cell.cell_contents)


def _clipped(clip: Callable[..., None]) -> Callable[..., None]:
    @functools.wraps(clip)
    def checked(parameters: Any, *rest: Any, **options: Any) -> None:
        given = [parameters] if isinstance(parameters, Tensor) else list(parameters)
        _require_norms(frozenset(id(each) for each in given))
        clip(given, *rest, **options)

    return checked


def _require_norms(given: frozenset[int]) -> None:
    """A Refusal if these parameters have the factors of a layer, but not its `pending.norm`.

    One parameter alone is clipped by its own norm, and its turn may come later.
    """
    for layer in subspace_layers() if len(given) > 1 else ():
        pending = layer.pending
        if (
            pending.norm.grad is not None
            and id(pending.norm) not in given
            and not given.isdisjoint((id(layer.left), id(layer.right)))
        ):
            raise Refusal(
                f"{pending.name}: the loop clips the factors without `pending.norm`, whose "
                "gradient has the norm of the gradient of the weight: clip the parameters of the "
                f"whole network, or of this layer with all its modules, or use {pending.otherwise}"
            )


def _checked(total_norm: Callable[..., Tensor]) -> Callable[..., Tensor]:
    @functools.wraps(total_norm)
    def checked(tensors: Any, norm_type: float = 2.0, *rest: Any, **options: Any) -> Tensor:
        given = [tensors] if isinstance(tensors, Tensor) else list(tensors)
        if float(norm_type) != 2:
            _require_plain(given, norm_type)
        for optimizer in list(_optimizers):
            _require_whole(given, optimizer)
        return total_norm(given, norm_type, *rest, **options)

    return checked


def _require_plain(gradients: Sequence[Tensor], norm_type: float) -> None:
    """A Refusal if one of the gradients stands for that of a factored weight."""
    for layer in subspace_layers():
        if any(each is layer.pending.norm.grad for each in gradients):
            raise Refusal(
                f"{layer.pending.name}: a subspace update has no norm of type {norm_type} of its "
                f"gradient: clip with norm_type=2, or use {layer.pending.otherwise}"
            )


def _require_whole(gradients: Sequence[Tensor], optimizer: _SubspaceOptimizer) -> None:
    """A Refusal if these are gradients of the optimizer, and those of its factors are not there."""
    every = (each for each in optimizer.pending_gradients() if each.norm.grad is not None)
    thawed = [each for each in every if each.was_frozen]
    if not thawed:
        return
    given = {id(each) for each in gradients}
    if any(id(each.norm.grad) in given for each in thawed):
        for each in thawed:  # the list of the loop is a later one
            each.was_frozen = False
        return
    own = (each.grad for group in optimizer.param_groups for each in group["params"])
    if not given or any(id(each) in given for each in own if each is not None):
        raise Refusal(
            f"{thawed[0].name}: the loop has frozen `pending.norm`, perhaps with all names that "
            "have `norm`, and computes a total norm without its gradient, which has the norm of "
            "the gradient of the factors. Leave `pending.norm` as it is, collect the gradients to "
            f"clip in each step, or use {thawed[0].otherwise}"
        )
