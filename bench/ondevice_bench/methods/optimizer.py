"""One optimizer for plain parameters and for factored weights, with one global norm."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ondevice_bench.methods.lowrank import LowRankLayer
from ondevice_bench.methods.tensors import has_content

_TINY = 1e-6  # as in torch's own clipping


class MomentumRefused(ValueError):
    """The subspace update has no momentum."""


class LowRankSGD(torch.optim.SGD):
    """SGD that also updates factored layers, by the subspace update from their thin gradients."""

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
        self._low_rank = [layer for layer in low_rank if not layer.factors]
        if momentum and self._low_rank:
            raise MomentumRefused(
                "momentum needs a state in factor space, which the subspace update does not have: "
                "use momentum 0, or `update: factors`"
            )
        super().__init__(parameters, lr=lr, momentum=momentum, weight_decay=weight_decay)
        self.clip = clip

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Clip the norm over all gradients, then update all parameters."""
        assert closure is None, "an update in factors cannot be evaluated twice"
        shrink = self._shrink()
        if shrink is not None:
            for gradient in self._gradients():
                gradient.mul_(shrink)
        super().step()
        group = self.param_groups[0]
        rate, decay = group["lr"], 1 - group["lr"] * group["weight_decay"]
        for layer in self._low_rank:
            thin = layer.gradient
            if thin is not None:
                clipped = rate * (float(shrink) if shrink is not None and has_content() else 1.0)
                left, right = thin.scaled_update(layer.left, layer.right, decay, clipped)
                layer.left.data, layer.right.data = left.contiguous(), right.contiguous()
                layer.pending = []

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Clear every gradient, also the thin ones."""
        super().zero_grad(set_to_none)
        for layer in self._low_rank:
            layer.pending = []

    def _shrink(self) -> Tensor | None:
        """The factor that brings the global norm to `clip`; None without clipping."""
        if self.clip is None:
            return None
        plain = [torch.linalg.vector_norm(g) for g in self._gradients()]
        thin = [g.squared_norm().sqrt() for g in (la.gradient for la in self._low_rank) if g]
        if not plain and not thin:
            return None
        norm = torch.linalg.vector_norm(torch.stack([n.double() for n in (*plain, *thin)]))
        shrink: Tensor = (self.clip / (norm + _TINY)).clamp(max=1.0)
        return shrink

    def _gradients(self) -> list[Tensor]:
        parameters = (p for group in self.param_groups for p in group["params"])
        return [p.grad for p in parameters if p.grad is not None]
