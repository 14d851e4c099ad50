"""One optimizer for plain parameters and for factored weights, with one global norm."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ondevice_bench.methods.lowrank import LowRankLayer

_TINY = 1e-6  # as in torch's own clipping


class MomentumRefused(ValueError):
    """The subspace update has no momentum."""


class LowRankSGD(torch.optim.SGD):
    """SGD that also updates factored layers, by the subspace update from their own gradients.

    What a loop does to the gradients of all parameters, it does to those of factored weights, too:
    see `PendingGradient`.
    """

    updates_subspaces = True

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
        if momentum and self._pending:
            otherwise = next(iter(self._pending.values())).otherwise
            raise MomentumRefused(
                "momentum needs a state in factor space, which the subspace update does not have: "
                f"use momentum 0, or {otherwise}"
            )
        super().__init__(parameters, lr=lr, momentum=momentum, weight_decay=weight_decay)
        self.clip = clip

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Clip the norm over all gradients, then update all parameters.

        A closure runs one time before the update, as in torch's own SGD.
        """
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        self._clip()
        taken = {layer: pending.take() for layer, pending in self._pending.items()}
        super().step()
        group = self.param_groups[0]
        rate, decay = group["lr"], 1 - group["lr"] * group["weight_decay"]
        for layer, found in taken.items():
            if found is None:
                continue
            gradient, scale = found
            left, right = layer.updated(gradient, decay, rate * scale)
            layer.left.data, layer.right.data = left.contiguous(), right.contiguous()
            self._pending[layer].count_update()
        return loss

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Clear every gradient, also those of factored weights."""
        super().zero_grad(set_to_none)
        for pending in self._pending.values():
            pending.clear()

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
