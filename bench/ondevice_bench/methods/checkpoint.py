"""Checkpointing: a block stores only its input and runs forward again in backward."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from ondevice_bench.methods.batch_norm import statistics_unchanged
from ondevice_bench.methods.method import Method
from ondevice_bench.methods.tensors import has_content
from ondevice_bench.models.layers import NoSuchPart, block_names, mlp_names
from ondevice_bench.specs.layout import ModelLayout


class _Recompute(torch.autograd.Function):
    """Not torch's own checkpoint, because saved-tensor hooks do not see the input it stores."""

    @staticmethod
    def forward(ctx: Any, run: "Recomputed", x: Tensor, *_: Tensor) -> Tensor:
        ctx.run = run
        ctx.save_for_backward(x, _generator_state())
        with torch.no_grad():
            return run.plain_forward(x)

    @staticmethod
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:
        x, generator = ctx.saved_tensors
        inner = x.detach().requires_grad_(ctx.needs_input_grad[1])
        with torch.random.fork_rng(devices=[]), torch.enable_grad():
            if has_content():
                torch.set_rng_state(generator)
            with statistics_unchanged(ctx.run):
                y = ctx.run.plain_forward(inner)
        torch.autograd.backward(y, dy)  # parameters accumulate here
        return None, inner.grad, *[None] * (len(ctx.needs_input_grad) - 2)


def _generator_state() -> Tensor:
    """The state of the random generator; without content, a tensor of the same size."""
    state = torch.get_rng_state()
    return state if has_content() else torch.empty(len(state), dtype=torch.uint8)


class Recomputed(nn.Module):
    """A mixin for a module's class. Names in the state_dict do not change."""

    plain_forward: Callable[[Tensor], Tensor]

    def forward(self, x: Tensor) -> Tensor:
        """In training, store only the input."""
        trained = [p for p in self.parameters() if p.requires_grad]
        if not (torch.is_grad_enabled() and (x.requires_grad or trained)):
            return self.plain_forward(x)
        y: Tensor = _Recompute.apply(self, x, *trained)  # type: ignore[no-untyped-call]  # torch's stub has no types
        return y


def _recomputed(kind: type[nn.Module]) -> type[nn.Module]:
    return type(f"Recomputed{kind.__name__}", (Recomputed, kind), {"plain_forward": kind.forward})


class Checkpoint(Method):
    """Recomputes whole blocks, or the MLPs from their normalised input."""

    def __init__(self, *, scope: str) -> None:
        self.scope = scope

    def wrap(self, model: nn.Module, layout: ModelLayout) -> None:
        """Make the modules of the scope recompute."""
        find = block_names if self.scope == "blocks" else mlp_names
        names = find(model, layout)
        if not names:
            raise NoSuchPart(f"checkpoint: this network declares no {self.scope}")
        for name in names:
            module = model.get_submodule(name)
            module.__class__ = _recomputed(type(module))

    def unwrap(self, model: nn.Module) -> None:
        """Restore the class of every module."""
        for module in model.modules():
            if isinstance(module, Recomputed):
                module.__class__ = type(module).__mro__[2]
