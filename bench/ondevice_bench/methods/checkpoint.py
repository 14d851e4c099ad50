"""Checkpointing: a block stores only its inputs and runs forward again in backward."""

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import FunctionType, ModuleType
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_flatten, tree_unflatten
from torch.utils.checkpoint import checkpoint, set_checkpoint_early_stop

from ondevice_bench.errors import Refusal
from ondevice_bench.methods.batch_norm import statistics_unchanged
from ondevice_bench.methods.forward import Call, restore, surround
from ondevice_bench.methods.method import Method
from ondevice_bench.methods.tensors import has_content
from ondevice_bench.models.layers import NoSuchPart, block_names, mlp_names
from ondevice_bench.specs.layout import ModelLayout

_HOLDS_NO_STATE = (type, nn.Module, ModuleType, FunctionType)


@dataclass(frozen=True)
class Recomputing:
    """It surrounds the forward of one block, and runs it again in backward."""

    name: str

    def __call__(self, call: Call) -> Any:
        """In training, store only the inputs."""
        module, forward = call.module, call.forward
        given, structure = tree_flatten((call.arguments, dict(call.options)))
        if not (torch.is_grad_enabled() and any(_trained(module, given))):
            return call.run()
        first = [(call, given)]

        def run(generator: Tensor, *inputs: Any) -> Any:
            if first:
                begun, given = first.pop()  # the graph keeps `run`
                with _unchanged(self.name, module, given):
                    return begun.run()
            positional, named = tree_unflatten(inputs, structure)
            with torch.random.fork_rng(devices=[]), statistics_unchanged(module):
                if has_content():
                    torch.set_rng_state(generator)
                return forward(*positional, **named)

        # The state of the generator is an input, so that saved-tensor hooks see it. The second run
        # does not stop early: hooks of modules are called in pairs.
        with set_checkpoint_early_stop(False):
            return checkpoint(
                run, _generator_state(), *given, use_reentrant=False, preserve_rng_state=False
            )


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
            surround(model.get_submodule(name), Recomputing(name))

    def unwrap(self, model: nn.Module) -> None:
        """Let every module run once again."""
        for module in model.modules():
            restore(module, Recomputing)


def _trained(module: nn.Module, given: list[Any]) -> Iterator[bool]:
    """Whether each parameter and each tensor among the inputs needs a gradient."""
    yield from (parameter.requires_grad for parameter in module.parameters())
    yield from (each.requires_grad for each in given if isinstance(each, Tensor))


def _generator_state() -> Tensor:
    """The state of the random generator; without content, a tensor of the same size."""
    state = torch.get_rng_state()
    return state if has_content() else torch.empty(len(state), dtype=torch.uint8)


@contextlib.contextmanager
def _unchanged(name: str, module: nn.Module, given: list[Any]) -> Iterator[None]:
    """Refuse a block that changes in the block what its second run would find changed."""
    inputs = [(each, _version(each)) for each in given if isinstance(each, Tensor)]
    objects = [each for each in given if hasattr(each, "__dict__") and not isinstance(each, Tensor)]
    others = [(each, _held(each)) for each in objects]
    buffers = _buffers(module)
    yield
    if any(_version(each) != version for each, version in inputs):
        raise Refusal(
            f"{name}: checkpoint cannot run this block again, because the block changes its input "
            "in place: take it out of the blocks"
        )
    for each, held in others:
        if not _same(held, _held(each)):
            raise Refusal(
                f"{name}: checkpoint cannot run this block again, because the block changes the "
                f"{type(each).__name__} that it is given: call the network without it (a network "
                "of transformers: with `use_cache=False`)"
            )
    now = _buffers(module)
    changed = [key for key in buffers if key not in now or not _same([buffers[key]], [now[key]])]
    if changed:
        raise Refusal(
            f"{name}: checkpoint cannot run this block again, because the block changes its buffer "
            f"{changed[0]} in forward: take it out of the blocks"
        )


_Held = list[tuple[Tensor, int | None]]


def _same(before: _Held, after: _Held) -> bool:
    """Whether these are the same tensors, and nobody has written into them."""
    return len(before) == len(after) and all(
        a is b and old == new for (a, old), (b, new) in zip(before, after, strict=True)
    )


def _version(tensor: Tensor) -> int | None:
    return None if tensor.is_inference() else tensor._version


def _buffers(module: nn.Module) -> dict[str, tuple[Tensor, int | None]]:
    """The buffers of the block. Those of batch-norms keep their values in the second run."""
    return {
        f"{name}.{key}" if name else key: (buffer, _version(buffer))
        for name, each in module.named_modules()
        if not isinstance(each, nn.modules.batchnorm._BatchNorm)
        for key, buffer in each.named_buffers(recurse=False)
    }


def _held(thing: Any, seen: set[int] | None = None) -> _Held:
    """The tensors that an object holds, at any depth."""
    seen = set() if seen is None else seen
    if id(thing) in seen or isinstance(thing, _HOLDS_NO_STATE):
        return []
    seen.add(id(thing))
    if isinstance(thing, Tensor):
        return [(thing, _version(thing))]
    parts: list[Any] = list(vars(thing).values()) if hasattr(thing, "__dict__") else []
    if isinstance(thing, Mapping):
        parts += thing.values()
    elif isinstance(thing, (list, tuple)):
        parts += thing
    return [each for part in parts for each in _held(part, seen)]
