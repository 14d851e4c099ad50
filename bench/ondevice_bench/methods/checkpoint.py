"""Checkpointing: a module stores only its inputs and runs forward again in backward."""

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import FunctionType, ModuleType
from typing import Any
from weakref import WeakKeyDictionary, WeakSet

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_flatten, tree_leaves, tree_unflatten
from torch.utils.checkpoint import checkpoint, set_checkpoint_early_stop

from ondevice_bench.errors import Refusal
from ondevice_bench.methods import host_generators
from ondevice_bench.methods.batch_norm import statistics_unchanged
from ondevice_bench.methods.forward import Call, surround, take_away
from ondevice_bench.methods.function_call import is_transformed
from ondevice_bench.methods.method import Method
from ondevice_bench.methods.norm_origin import (
    Remembering,
    as_it_is,
    kept_for,
    remember_origins,
)
from ondevice_bench.methods.own_state import (
    OwnState,
    Place,
    changed,
    changed_tensor,
    own_state,
    places,
    set_back,
)
from ondevice_bench.methods.refusals import require_values
from ondevice_bench.methods.sampled import sampled_numbers
from ondevice_bench.methods.tensors import has_content
from ondevice_bench.models.layers import NoSuchPart, attention_names, block_names, mlp_names
from ondevice_bench.specs.layout import ModelLayout

_HOLDS_NO_STATE = (type, nn.Module, ModuleType, FunctionType)


@dataclass(frozen=True)
class _Scope:
    """What is checkpointed: how to find it, and how messages name it."""

    find: Callable[[nn.Module, ModelLayout], tuple[str, ...]]
    noun: str
    place: str  # where the layout has it
    starts_before_norm: bool = False  # a norm right before it runs again, too


_SCOPES = {
    "blocks": _Scope(block_names, "block", "the blocks"),
    "mlp": _Scope(mlp_names, "MLP", "`mlp` of the layout"),
    "attention": _Scope(
        attention_names, "attention", "`attention` of the layout", starts_before_norm=True
    ),
}


@dataclass(frozen=True)
class Recomputing:
    """It surrounds the forward of one module, and runs it again in backward."""

    name: str
    scope: str = "blocks"

    def __call__(self, call: Call) -> Any:
        """In training, store only the inputs."""
        module, forward = call.module, call.forward
        given, structure = tree_flatten((call.arguments, dict(call.options)))
        if not (torch.is_grad_enabled() and any(_trained(module, given))) or is_transformed():
            return call.run()
        stored, restored = _stored(given, _SCOPES[self.scope].starts_before_norm)
        first, drawn = [(call, given)], list[host_generators.State]()
        own, outputs = list[OwnState](), list[list[list[float]]]()
        weights = _weights(module)
        if not all(isinstance(each, nn.Parameter) for each, _ in weights):
            raise self._other_weights()

        def run(generator: Tensor, *inputs: Any) -> Any:
            if first:
                begun, given = first.pop()  # the graph keeps `run`
                with (
                    _unchanged(self, module, given),
                    _noting_draws(module, drawn),
                    _noting_changes(self, module, own),
                ):
                    output = begun.run()
                _note_output(module, output, outputs)
                return output
            if weights and not _same(weights, _weights(module)):
                raise self._other_weights()
            positional, named = tree_unflatten(restored(inputs), structure)
            with (
                torch.random.fork_rng(devices=[]),
                host_generators.set_back(drawn[0]) if drawn else contextlib.nullcontext(),
                set_back(module, own[0]) if own else contextlib.nullcontext(),
                statistics_unchanged(module),
            ):
                if has_content():
                    torch.set_rng_state(generator)
                output = forward(*positional, **named)
            if outputs and _differ(outputs.pop(), _numbers_of(output)):
                raise Refusal(
                    f"{self.name}: checkpoint runs this {_SCOPES[self.scope].noun} again in "
                    "backward, and its output is different there. It depends on something that "
                    f"has changed since its first run: {self.take_out}"
                )
            return output

        # The state of the generator is an input, so that saved-tensor hooks see it. An accelerator
        # has a generator of its own. The second run does not stop early: hooks of modules are
        # called in pairs.
        with set_checkpoint_early_stop(False):
            return checkpoint(
                run,
                _generator_state(),
                *stored,
                use_reentrant=False,
                preserve_rng_state=any(map(_is_on_accelerator, stored)),
            )

    @property
    def cannot(self) -> str:
        """The beginning of a refusal of what the module changes."""
        noun = _SCOPES[self.scope].noun
        return f"{self.name}: checkpoint cannot run this {noun} again, because the {noun} changes"

    @property
    def take_out(self) -> str:
        """The end of such a refusal."""
        return f"take it out of {_SCOPES[self.scope].place}"

    def _other_weights(self) -> Refusal:
        return Refusal(
            f"{self.name}: checkpoint runs this {_SCOPES[self.scope].noun} again in backward, and "
            "must find the same weights there: call backward before step() of the optimizer, and "
            "the network without torch.func.functional_call"
        )


def _is_on_accelerator(stored: object) -> bool:
    return isinstance(stored, Tensor) and stored.device.type not in ("cpu", "meta")


class Checkpoint(Method):
    """Recomputes whole blocks, the MLPs from their normalised input, or norm and attention."""

    _remembering: Remembering | None = None

    def __init__(self, *, scope: str) -> None:
        self.scope = scope
        self._recomputing: list[Recomputing] = []

    def wrap(self, model: nn.Module, layout: ModelLayout) -> None:
        """Make the modules of the scope recompute."""
        scope = _SCOPES[self.scope]
        names = scope.find(model, layout)
        if not names:
            raise NoSuchPart(f"checkpoint: this network declares no {self.scope}")
        for name in names:
            module, recomputing = model.get_submodule(name), Recomputing(name, self.scope)
            require_values(module, f"checkpoint: {name}")
            surround(module, recomputing)
            self._recomputing.append(recomputing)
        if scope.starts_before_norm:
            self._remembering = remember_origins(model)

    def unwrap(self, model: nn.Module) -> None:
        """Let every module run once again."""
        of_norms = () if self._remembering is None else (self._remembering,)
        for module in model.modules():
            for each in (*self._recomputing, *of_norms):
                take_away(module, each)


def _stored(
    given: list[Any], starts_before_norm: bool
) -> tuple[list[Any], Callable[[Sequence[Any]], list[Any]]]:
    """What is stored for these inputs, and a function that makes them from it again.

    A tensor that is given twice is stored once. It is one tensor in the second run, too: some
    modules compute in another way if their inputs are not the same object.
    """
    numbers = {id(each): number for number, each in enumerate(given)}
    distinct = sorted(numbers.values())
    places = [distinct.index(numbers[id(each)]) for each in given]
    find = kept_for if starts_before_norm else as_it_is
    kept = [find(given[number]) for number in distinct]
    again = [each.again for each in kept]

    def restored(stored: Sequence[Any]) -> list[Any]:
        made = [make(each) for make, each in zip(again, stored, strict=True)]
        return [made[place] for place in places]

    return [each.stored for each in kept], restored


def _trained(module: nn.Module, given: list[Any]) -> Iterator[bool]:
    """Whether each parameter and each tensor among the inputs needs a gradient."""
    yield from (parameter.requires_grad for parameter in module.parameters())
    yield from (each.requires_grad for each in given if isinstance(each, Tensor))


def _weights(module: nn.Module) -> "_Held":
    """The weights that a second run must find. None are known if torch compiles the network."""
    parameters = () if torch.compiler.is_compiling() else module.parameters()
    return [(each, _version(each)) for each in parameters]


def _generator_state() -> Tensor:
    """The state of the random generator; without content, a tensor of the same size."""
    state = torch.get_rng_state()
    return state if has_content() else torch.empty(len(state), dtype=torch.uint8)


@contextlib.contextmanager
def _unchanged(what: Recomputing, module: nn.Module, given: list[Any]) -> Iterator[None]:
    """Refuse a module that changes in the block what its second run would find changed."""
    inputs = [(each, _version(each)) for each in given if isinstance(each, Tensor)]
    objects = [each for each in given if hasattr(each, "__dict__") and not isinstance(each, Tensor)]
    others = [(each, _held(each)) for each in objects]
    buffers = _buffers(module)
    yield
    if any(_version(each) != version for each, version in inputs):
        raise Refusal(f"{what.cannot} its input in place: {what.take_out}")
    for each, held in others:
        if not _same(held, _held(each)):
            raise Refusal(
                f"{what.cannot} the {type(each).__name__} that it is given: call the network "
                "without it (a network of transformers: with `use_cache=False`)"
            )
    now = _buffers(module)
    moved = [key for key in buffers if key not in now or not _same([buffers[key]], [now[key]])]
    if moved:
        raise Refusal(f"{what.cannot} its buffer {moved[0]} in forward: {what.take_out}")


# modules that have run, and whether they have drawn numbers of Python or numpy
_draws: WeakKeyDictionary[nn.Module, bool] = WeakKeyDictionary()


@contextlib.contextmanager
def _noting_draws(module: nn.Module, drawn: list[host_generators.State]) -> Iterator[None]:
    """Note the state of Python's and numpy's generators, if the first run of the module used one.

    torch's own checkpoint sets back torch's generator alone.
    """
    if torch.compiler.is_compiling() or _draws.get(module) is False:
        yield
        return
    before = host_generators.state()
    yield
    if module not in _draws:
        _draws[module] = host_generators.state() != before
    if _draws[module]:
        drawn.append(before)


# modules that have run, and the attributes of their modules that they change
_changing: WeakKeyDictionary[nn.Module, list[Place]] = WeakKeyDictionary()


@contextlib.contextmanager
def _noting_changes(what: Recomputing, module: nn.Module, own: list[OwnState]) -> Iterator[None]:
    """Note the attributes that the first run of the module has changed, as they were before."""
    if torch.compiler.is_compiling():
        yield
        return
    known = _changing.get(module)
    before = own_state(module, places(module) if known is None else known)
    yield
    if known is None:
        before = changed(module, before)
        tensor = changed_tensor(module, before)
        if tensor is not None:
            raise Refusal(f"{what.cannot} its tensor {tensor} in place: {what.take_out}")
        _changing[module] = list(before)
    if before:
        own.append(before)


_compared: WeakSet[nn.Module] = WeakSet()  # modules whose two runs were compared one time
_APART = 0.01  # of the largest number: more than rounding


def _note_output(module: nn.Module, output: Any, outputs: list[list[list[float]]]) -> None:
    """Note some numbers of the first output of the module, for its second run."""
    if module not in _compared and has_content() and not torch.compiler.is_compiling():
        _compared.add(module)
        outputs.append(_numbers_of(output))


def _numbers_of(output: Any) -> list[list[float]]:
    return [sampled_numbers(each) for each in tree_leaves(output) if isinstance(each, Tensor)]


def _differ(first: list[list[float]], second: list[list[float]]) -> bool:
    """Whether numbers of two outputs differ by more than rounding."""
    return any(
        abs(a - b) > _APART * max(map(abs, old))
        for old, new in zip(first, second, strict=False)
        for a, b in zip(old, new, strict=False)
    )


_Held = list[tuple[Tensor, int | None]]


def _same(before: _Held, after: _Held) -> bool:
    """Whether these are the same tensors, and no code has written into them."""
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
