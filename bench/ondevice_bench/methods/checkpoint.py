"""Checkpointing: a block keeps its input alone and runs forward again in backward."""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

from ondevice_bench.methods.tensors import has_content
from ondevice_bench.models.layers import NoSuchPart, block_names, mlp_names
from ondevice_bench.specs.layout import ModelLayout


class _Recompute(torch.autograd.Function):
    """Written here because torch's own keeps the input out of sight of saved-tensor hooks."""

    @staticmethod
    def forward(ctx: Any, run: "Recomputed", x: Tensor, *_: Tensor) -> Tensor:
        ctx.run = run
        ctx.save_for_backward(x, _drawn())
        with torch.no_grad():
            return run.once(x)

    @staticmethod
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:
        x, drawn = ctx.saved_tensors
        inner = x.detach().requires_grad_(ctx.needs_input_grad[1])
        with torch.random.fork_rng(devices=[]), torch.enable_grad():
            if has_content():
                torch.set_rng_state(drawn)
            with statistics_kept(ctx.run):
                y = ctx.run.once(inner)
        torch.autograd.backward(y, dy)  # parameters accumulate here
        return None, inner.grad, *[None] * (len(ctx.needs_input_grad) - 2)


def _drawn() -> Tensor:
    """The state of the random numbers; where tensors have no content, as many bytes."""
    state = torch.get_rng_state()
    return state if has_content() else torch.empty(len(state), dtype=torch.uint8)


class Recomputed(nn.Module):
    """Mixed into a module's own class, so that names and checkpoints stay as they are."""

    once: Callable[[Tensor], Tensor]

    def forward(self, x: Tensor) -> Tensor:
        """Keep the input alone while training."""
        trained = [p for p in self.parameters() if p.requires_grad]
        if not (torch.is_grad_enabled() and (x.requires_grad or trained)):
            return self.once(x)
        y: Tensor = _Recompute.apply(self, x, *trained)  # type: ignore[no-untyped-call]  # torch's stub has no types
        return y


def _recomputed(kind: type[nn.Module]) -> type[nn.Module]:
    return type(f"Recomputed{kind.__name__}", (Recomputed, kind), {"once": kind.forward})


@contextlib.contextmanager
def statistics_kept(module: nn.Module) -> Iterator[None]:
    """Batch-norms that train leave their running statistics as they are."""
    norms = [
        norm
        for norm in module.modules()
        if isinstance(norm, nn.modules.batchnorm._BatchNorm) and norm.track_running_stats
    ]
    before = [(norm.momentum, norm.num_batches_tracked) for norm in norms]
    for norm in norms:
        norm.momentum = 0.0
        if norm.num_batches_tracked is not None:
            norm.num_batches_tracked = norm.num_batches_tracked.clone()
    try:
        yield
    finally:
        for norm, (momentum, tracked) in zip(norms, before, strict=True):
            norm.momentum, norm.num_batches_tracked = momentum, tracked


class Checkpoint:
    """Recomputes whole blocks, or the MLPs from their normalised input."""

    def __init__(self, *, scope: str = "blocks") -> None:
        self.scope = scope

    def wrap(self, model: nn.Module, layout: ModelLayout) -> tuple[str, ...]:
        """Make the modules of the scope recompute; their names."""
        find = block_names if self.scope == "blocks" else mlp_names
        names = find(model, layout)
        if not names:
            raise NoSuchPart(f"checkpoint: this network declares no {self.scope}")
        for name in names:
            module = model.get_submodule(name)
            module.__class__ = _recomputed(type(module))
        return names

    @staticmethod
    def unwrap(model: nn.Module) -> None:
        """Give every module its own class back."""
        for module in model.modules():
            if isinstance(module, Recomputed):
                module.__class__ = type(module).__mro__[2]
