"""What modules change in themselves while they run: counters, lists, generators, other objects.

A second run of a module must begin with what its first run has found.
"""

import contextlib
import pickle
import random
import sys
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn

from ondevice_bench.methods.method import ReplacementLayer

_OF_TORCH = frozenset(vars(nn.Module()))
_PLAIN = (bool, int, float, str)
_MISSING = object()

Place: TypeAlias = tuple[str, str]
"""A module within the block, and the name of an attribute."""

OwnState: TypeAlias = dict[Place, tuple[Any, Any]]
"""The value of each attribute, and what it holds, if it can change in itself."""


def places(block: nn.Module) -> list[Place]:
    """All attributes of the block's modules, but none of torch's or of our own layers."""
    ours = {
        part
        for each in block.modules()
        if isinstance(each, ReplacementLayer)
        for part in each.modules()
    }
    return [
        (path, name)
        for path, module in block.named_modules()
        if module not in ours
        for name in vars(module)
        if name not in _OF_TORCH
    ]


def own_state(block: nn.Module, found: Iterable[Place]) -> OwnState:
    """The state of these attributes."""
    state: OwnState = {}
    for path, name in found:
        value = vars(block.get_submodule(path)).get(name, _MISSING)
        way = _way(value)
        state[path, name] = value, None if way is None else way[0]()
    return state


def changed(block: nn.Module, before: OwnState) -> OwnState:
    """The earlier state of the attributes that are new, or no longer as before."""
    now = own_state(block, places(block))
    missing = _MISSING, None
    every = {place: before.get(place, missing) for place in (*before, *now)}
    return {
        place: found
        for place, found in every.items()
        if not _is_same(found, now.get(place, missing))
    }


def changed_tensor(block: nn.Module, changes: OwnState) -> str | None:
    """The name of a tensor among the changed attributes that was changed in place."""
    for (path, name), (value, _) in changes.items():
        if isinstance(value, Tensor) and vars(block.get_submodule(path)).get(name) is value:
            return f"{path}.{name}" if path else name
    return None


@contextlib.contextmanager
def set_back(block: nn.Module, before: OwnState) -> Iterator[None]:
    """Run with the attributes as they were, and leave them as they are now."""
    now = own_state(block, before)
    _set(block, before)
    try:
        yield
    finally:
        _set(block, now)


def _set(block: nn.Module, state: OwnState) -> None:
    for (path, name), (value, held) in state.items():
        own = vars(block.get_submodule(path))
        if value is _MISSING:
            own.pop(name, None)
            continue
        own[name] = value
        way = _way(value)
        if way is not None:
            way[1](held)


def _is_same(one: tuple[Any, Any], other: tuple[Any, Any]) -> bool:
    (value, held), (now, held_now) = one, other
    if isinstance(value, _PLAIN) and type(value) is type(now):
        return bool(value == now)
    if value is not now:
        return False
    if isinstance(held, (list, dict)):
        old, new = _parts(held), _parts(held_now)
        return len(old) == len(new) and all(a is b for a, b in zip(old, new, strict=True))
    return pickle.dumps(held) == pickle.dumps(held_now)


def _parts(held: Any) -> list[Any]:
    return [*held, *held.values()] if isinstance(held, dict) else held


def _way(value: Any) -> tuple[Callable[[], Any], Callable[[Any], Any]] | None:
    """How to read and to write what this object holds; None if it holds nothing known."""
    if type(value) is list:
        return value.copy, partial(_fill_list, value)
    if type(value) is dict:
        return value.copy, partial(_fill_dict, value)
    if isinstance(value, Tensor):
        return lambda: None if value.is_inference() else value._version, lambda _: None
    if isinstance(value, torch.Generator):
        return value.get_state, value.set_state
    if isinstance(value, random.Random):
        return value.getstate, value.setstate
    numpy: Any = sys.modules.get("numpy.random")
    if numpy is not None and isinstance(value, numpy.RandomState):
        return value.get_state, value.set_state
    if numpy is not None and isinstance(value, numpy.Generator):
        source = value.bit_generator
        return lambda: source.state, lambda held: setattr(source, "state", held)
    return None


def _fill_list(own: list[Any], held: list[Any]) -> None:
    own[:] = held


def _fill_dict(own: dict[Any, Any], held: dict[Any, Any]) -> None:
    own.clear()
    own.update(held)
